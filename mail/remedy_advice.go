package mail

// advice is a remedy that knows more than the general one of a rule, because the reply's words tell the provider or the
// exact cause. It changes what a person is told and nothing else.
type advice struct {
	of    string   // the general remedy that it stands for
	words []string // one of these phrases is in the reply, see plainWords
	say   string
}

// adviceFor returns the first advice that fits, or the general remedy.
func adviceFor(f *facts, general string) string {
	for i := range advices {
		if a := &advices[i]; a.of == general && anyPhrase(f.words, a.words) {
			return a.say
		}
	}
	return general
}

// google and microsoft are words that only replies of these two have. Neither's replies have a word in common that all would have.
var (
	google    = []string{"gsmtp"}
	microsoft = []string{"authentication unsuccessful", "storedrv", "client does not have permissions", "client was not authenticated", "client not authenticated to send",
		"sender throttled due"}
)

// advices are asked in this order; of one general remedy what is narrow stands before what is wide.
var advices = []advice{
	// The login.
	{remedyLogin, google, "Google refuses the password. Passwords of people no longer work for programs: with 2-step verification switched on make an app password of 16 letters (myaccount.google.com > Security > App passwords), or set `auth: xoauth2` and sign in with `outboxd account login` (OAuth 2.0)."},
	{remedyLogin, microsoft, "Microsoft refuses the user name or the password. Check both; then whether \"Authenticated SMTP\" is ticked for the mailbox (admin.microsoft.com > Users > the user > Mail > Manage email apps). Where the organisation has switched passwords off, set `auth: xoauth2` and sign in with `outboxd account login` (OAuth 2.0)."},
	{remedyLogin, []string{"authentication credentials invalid"}, "The user name or the password is wrong. If this is Amazon SES: its SMTP credentials are not the AWS access keys; make them in the SES console under SMTP settings, for the region that `host` names."},
	{remedyAppPassword, google, "The mailbox has 2-step verification, so Google takes no normal password. Make an app password (myaccount.google.com > Security > App passwords) and put its 16 letters into the account's password."},
	{remedyBrowser, google, "Google wants a person to confirm this sign-in. Sign in once to this mailbox in a web browser, say that it was you, then wait a few minutes. If it comes back, use an app password or OAuth 2.0."},
	{remedySMTPAuthOff, []string{"for the tenant"}, "SMTP sign-in is switched off for the whole organisation. An Exchange administrator has to allow it: for all in the Exchange admin centre > Settings > Mail flow, or for this mailbox alone with Set-CASMailbox -Identity ADDRESS -SmtpClientAuthenticationDisabled $false."},
	{remedySMTPAuthOff, []string{"for the mailbox"}, "SMTP sign-in is switched off for this mailbox. An administrator has to tick \"Authenticated SMTP\" for the user (admin.microsoft.com > Users > the user > Mail > Manage email apps); it takes up to an hour."},
	{remedyLoginLocked, []string{"security default"}, "The organisation's security defaults stop sign-in by password. Set `auth: xoauth2` and sign in with `outboxd account login` (OAuth 2.0); or the administrator replaces Security Defaults by a Conditional Access policy that leaves this account out."},
	{remedyLoginLocked, []string{"conditional access", "did not meet the criteria"}, "A Conditional Access policy, or SMTP AUTH switched off for the mailbox, stops this sign-in. The administrator finds the reason in the Entra sign-in log of this account, and has to leave it out of the policy or tick \"Authenticated SMTP\"."},
	{remedyOAuth, []string{"client submission"}, "Microsoft has ended sign-in by password for sending here (for existing organisations by default at the end of December 2026). Set `auth: xoauth2` and sign in with `outboxd account login` (OAuth 2.0), or send through another relay."},
	{remedyOAuth, microsoft, "This mailbox takes no passwords from programs any more. Set `auth: xoauth2` for the account and sign in with `outboxd account login` (OAuth 2.0)."},
	{remedyAuthMissing, google, "Google saw no login. Give the account `username` and `password`, and check that `auth` is not `none`; the port is 587 with starttls or 465 with tls."},
	{remedyAuthMissing, microsoft, "Microsoft saw no login. Give the account `username` and `password`, check that `auth` is not `none`, and use port 587 with `encryption: starttls`. If all that is so, SMTP AUTH may be off for the mailbox: an administrator has to tick \"Authenticated SMTP\" for it."},
	{remedyLoginTooMany, google, "Too many logins in a short time; outboxd waits by itself. Lower the account's `connections`, and look for other programs that use this mailbox, perhaps with a wrong password."},
	{remedyAuthTemporary, google, "Google cannot check logins at the moment, a passing fault of theirs. Nothing to do: sending goes on by itself."},
	{remedyLicence, []string{"sender throttled due"}, "The sending mailbox has no valid Exchange licence, and Microsoft now refuses everything from it. An administrator has to assign a licence (admin.microsoft.com > Users > the user > Licences and apps), then wait."},
	{remedyTLS, []string{"tls 1", "tls1", "tlsv1"}, "The server refuses an old TLS. outboxd itself speaks TLS 1.2 and newer, so something on the way is older: a relay, a proxy or a virus scanner. Have TLS 1.2 allowed there."},

	// The sender.
	{remedySendAs, []string{"sender throttled due"}, "Microsoft now refuses everything from this mailbox, because it kept trying to send as another without the right to. First have \"Send as\" granted, or use the mailbox's own address; then wait, an hour or more."},
	{remedySendAs, []string{"storedrv", "client does not have permissions", "send as denied"}, "The From address is not this mailbox's. Send under the mailbox's own address; or an administrator grants this account \"Send as\" on the other mailbox (Exchange admin centre > Recipients > Mailboxes > the other one > Delegation), which takes up to an hour to work."},
	{remedySendAs, []string{"identities failed", "address is not verified"}, "Amazon SES does not know the From address. Verify its domain (or the address) in the SES console, in the region that `host` names; a new SES account also has to be moved out of the sandbox."},
	{remedySendAs, []string{"not owned by"}, "The From address does not belong to this login. Send under the login's own address, or have the mail server's owner allow the other one for this login."},
	{remedySenderMailbox, []string{"storedrv", "sender throttled due"}, "The mailbox that sends is full, for a copy of every mail is kept in it. Empty its Sent Items and Deleted Items, or give it a retention policy; then wait, for Microsoft takes a while to notice."},
	{remedySenderBlocked, []string{"bad outbound sender"}, "Microsoft has blocked this mailbox for sending spam. Change its password, find out what was sent; then an administrator releases it (Microsoft Defender portal > Email & collaboration > Review > Restricted entities)."},
	{remedySenderBlocked, []string{"sending account has been banned"}, "Microsoft has blocked this account for spam. Look for a stolen password and change it, find out what was sent, then ask Microsoft support to lift the block."},
	{remedySenderBlocked, []string{"tenant has exceeded"}, "Microsoft has blocked the whole organisation from sending, because most of its mail looked like spam. Find the mailbox that sent it; then the administrator has to contact Microsoft support."},
	{remedySenderAddress, []string{"sender verif", "verification failed"}, "The recipient's server has asked whether our own sender address exists, and it does not. Create that mailbox, or correct the From address or the account's `return_path`."},
	{remedyRelay, []string{"invalid credentials for relay"}, "The relay of Google Workspace does not know this computer's IP address. The administrator has to add it (Google Admin console > Apps > Google Workspace > Gmail > Routing > SMTP relay service), and the sender has to be of the organisation's own domain."},
	{remedyRelay, []string{"tenant attribution"}, "The Microsoft 365 connector does not recognise this server. The administrator has to correct the IP address or the certificate of the connector (Exchange admin centre > Mail flow > Connectors)."},
	{remedyRelay, []string{"non accepted domain"}, "The mail went to the organisation's receiving server without a login. Set `host: smtp.office365.com`, port 587 and the login (`provider: office365`), or have a connector made for this computer."},
	{remedyDomainAuth, []string{"aligned", "alignment"}, "SPF and DKIM are for another domain than the From address has. Sign the mails with a DKIM key of the From address's own domain: at the provider, or with `dkim` in jobs.yaml."},
	{remedyDomainAuth, []string{"required authentication level"}, "Outlook.com wants SPF, DKIM and DMARC of the From domain all to pass. The reply says which one did not (Fail): correct that one; `outboxd check --online` shows the record to publish."},
	{remedyDomainAuth, []string{"dmarc"}, "The From domain's DMARC record asks to refuse mail that is neither signed with the domain's own DKIM key nor sent by a server in its SPF record, and this mail was neither. Sign it, or list this mail server; `outboxd check --online` shows the records."},
	{remedyDomainAuth, []string{"either spf or dkim"}, "The mail passed neither SPF nor DKIM. Publish both for the From domain: the SPF include that the provider names, and the DKIM key it signs with; `outboxd check --online` shows the records."},
	{remedyDomainAuth, []string{"spf", "sender policy framework"}, "The server that sends is not in the domain's SPF record. Whoever manages the domain has to add the include that the provider names; `outboxd check --online` shows the record."},
	{remedyDomainAuth, []string{"dkim"}, "The mail's DKIM signature is missing or wrong. Switch signing on at the provider and publish the DKIM key that it names, or sign with `dkim` in jobs.yaml; `outboxd check --online` shows the record."},

	// Limits.
	{remedyQuota, []string{"too many recipients errors"}, "Mails with too many recipients came again and again, so Microsoft slows the mailbox down. Put fewer recipients into one mail: 500 is the usual limit there."},
	{remedyQuota, []string{"submission quota", "daily limit for message recipients"}, "The mailbox has reached Microsoft's limit of 10,000 recipients in 24 hours. The mails wait and go by themselves as the window slides; use another service for more."},
	{remedyQuota, []string{"trial tenant"}, "The organisation's trial of Microsoft 365 has reached its daily limit to outside recipients. The mails wait; a paid licence raises the limit, or move mass mail to another service."},
	{remedyQuota, []string{"your tenant exceeded"}, "The whole organisation has reached its daily limit to outside recipients at Microsoft. The mails wait; move mass mail to another service."},
	{remedyQuota, []string{"daily user sending limit"}, "Google's daily limit is reached: 500 mails for gmail.com, 2,000 for a Workspace domain. The mails wait and go by themselves within 24 hours; `provider: gmail` keeps below the limit."},
	{remedyQuota, []string{"smtp relay limit exceeded for user"}, "This user has reached the limit of Google's relay, 10,000 recipients in 24 hours. The mails wait and go by themselves within 24 hours."},
	{remedyQuota, []string{"smtp relay limit exceeded for customer"}, "The whole organisation has reached the limit of Google's relay. The mails wait and go by themselves within 24 hours."},
	{remedyQuota, []string{"throttling failure"}, "The daily quota of Amazon SES is used up. The mails wait; ask AWS for a higher quota (SES console > Account dashboard), or lower the account's limits."},
	{remedyQuota, []string{"hourly", "per hour", "an hour"}, "The mail server's limit for an hour is reached, usually that of the hosting plan. The mails wait and go by themselves; set the account's `rate` below that limit."},
	{remedyRate, []string{"smtp relay limit"}, "Too much at once for Google's relay. Nothing to do: sending goes on by itself, slower."},
	{remedyRate, []string{"throttling failure"}, "More mails a second than Amazon SES allows. outboxd slows down by itself; lower the account's `rate`, or ask AWS for a higher sending rate."},
	{remedyConcurrent, []string{"concurrent connections"}, "Too many connections at once for this mailbox (Microsoft 365 allows 3). Lower the account's `connections`, and look for other programs that send through it. Nothing else to do: sending goes on by itself."},
	{remedyServerRate, []string{"connections"}, "Too many connections at once. Nothing to do: sending goes on by itself, slower; lower the account's `connections` if it repeats."},
	{remedyServerRate, []string{"tss0", "volume or user complaints"}, "Yahoo slows this server down because of complaints or of unusual volume. Sending goes on by itself; send less to Yahoo for a day, and only to people who expect it."},
	{remedyFlood, []string{"from your dkim domain", "from your spf domain"}, "Gmail slows the domain down: too much unwanted mail, or too fast a rise. Send less to Gmail for some days, and keep the rate of complaints in Google's Postmaster Tools below 0.1 %. Sending goes on by itself."},
	{remedyFlood, []string{"originating from your ip"}, "Gmail slows the sending server's IP address down: too much unwanted mail, or too fast a rise. Send less to Gmail for some days; where the address is the relay's, ask its owner. Sending goes on by itself."},
	{remedyTooManyRcpt, google, "The mail has more recipients than Google takes in one go (100). outboxd splits it by itself; nothing to do."},
	{remedyBadRecipients, []string{"sender throttled due"}, "Too many wrong addresses in a row, so Microsoft refuses everything from this mailbox. Stop the mailing and clean the address list before going on; then wait."},

	// Reputation.
	{remedyIPDenied, []string{"banned sending ip"}, "The sending server's IP address is on Microsoft's block list. Ask for its removal at sender.office.com; where the address is a relay's, its owner has to."},
	{remedyIPDenied, []string{"traffic not accepted"}, "Microsoft does not relay mail of this organisation yet, because it is new or little trusted. The administrator has to open a case with Microsoft support."},
	{remedyIPListed, []string{"tss0"}, "Yahoo blocks the sending server for good. Its owner has to apply at senders.yahooinc.com; until then send through another account."},
	{remedyIPListed, []string{"blocked using", "block list", "blocklist", "blacklist"}, "The sending server's IP address is on the block list that the reply names (Spamhaus: check.spamhaus.org). Look it up there, remove the cause and ask for removal; where the address is a relay's, its owner has to. Or send through another account."},
	{remedyReputation, google, "Gmail gives the sending domain a very bad name. Stop mass mail, look into Google's Postmaster Tools, and begin again slowly (`warmup`); check SPF, DKIM and DMARC."},
	{remedySpamContent, google, "Gmail took this mail for spam. Check its links and wording, that the recipients have agreed to get it, and the domain in Google's Postmaster Tools; then send it again."},
	{remedyPolicy, google, "Google forbids this kind of attachment: programs, macros, encrypted archives and the like. Remove it or send a link, then send the mail again."},
	{remedyPolicy, []string{"policy reasons", "local policy"}, "The receiving side's rules refuse this mail, often for want of SPF, DKIM or DMARC (`outboxd check --online` looks), else for its content. Correct that and send it again."},
	{remedyPolicyRcpt, []string{"group", "list"}, "The group takes mail only from inside its organisation, or from its members. Ask its owner to allow senders from outside."},

	// The message and the recipient.
	{remedySize, google, "The mail is larger than Google takes (25 MB, attachments encoded). Make the attachments smaller, or send a link."},
	{remedySize, []string{"recip size limit", "this recipient"}, "The mail is too large for this recipient. Send a link instead of the attachment."},
	{remedyDisabled, []string{"inactive"}, "Nobody has used the recipient's mailbox for a long time, and it is closed. Ask the recipient for another address."},
	{remedyUnknownUser, []string{"recipient address rejected access denied"}, "The recipient's Microsoft 365 does not know the address; now and then that is a mistake in their settings. Check the address, and ask the recipient in another way."},
	{remedyMailboxFull, []string{"and inactive"}, "The recipient's mailbox is full and nobody uses it any more. Ask the recipient for another address."},
	{remedyExpired, []string{"dns query failed"}, "The DNS of the recipient's domain did not answer for a day or longer, so the provider gave up. Check the domain; send the mail again when it answers."},
}
