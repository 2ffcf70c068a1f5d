package mail

// What a person should do, one text a cause. The reader is a bookkeeper or the operator of the company's mail, not a
// programmer: who has to do what, and what happens by itself.
const (
	// The login.
	remedyLogin         = "The mail server refused the user name or the password. Check both in jobs.yaml and with the provider; many providers want an app password or SMTP sign-in switched on. Sending goes on by itself once the login works."
	remedyAuthTemporary = "The mail server cannot check logins at the moment. Nothing to do unless it lasts for hours."
	remedyAuthMissing   = "The mail server wants a login first. Give the account a username and a password, and check that `auth` is not `none` and that the port is the one for sending, usually 587."
	remedyAppPassword   = "The provider does not accept the normal password from programs. Create an app password in the mailbox's security settings and put that into the account's password."
	remedyBrowser       = "The provider finds the login suspicious. Sign in to this mailbox once in a web browser, confirm that it was you, then wait a few minutes."
	remedyOAuth         = "The provider no longer accepts passwords from programs. Ask your mail administrator for OAuth 2.0 sign-in or for another way to send, such as the provider's relay."
	remedyToken         = "The mail server refuses the sign-in by OAuth. Most often somebody else than the account's username has signed in: do it again as that user, with `outboxd account login` and the account's name. Else sending by SMTP (Authenticated SMTP) is off for this mailbox; the mail administrator switches it on."
	remedySMTPAuthOff   = "Sending by SMTP is switched off for this mailbox or for the whole organisation. A mail administrator has to allow authenticated SMTP for it."
	remedyLoginLocked   = "The login is locked, or a security rule of the organisation stops it. A mail administrator has to release the mailbox or exempt it from the rule."
	remedyLoginTooMany  = "There were too many login attempts, so the provider makes us wait. Look for another program that uses this mailbox with a wrong password."
	remedyLicence       = "The sending mailbox has no valid licence. The mail administrator has to assign one."
	remedyTLS           = "The mail server wants an encrypted connection, or a newer one. Set `encryption: starttls` (port 587) or `tls` (port 465) for the account."

	// The sender.
	remedySendAs        = "This account may not send under this From address. Use the account's own address, or have the mail administrator grant it the right to send as the other one, or verify that address with the provider."
	remedySenderMailbox = "The mailbox that sends is full. Empty its Sent Items and Deleted Items, then wait."
	remedySenderBlocked = "The provider has blocked this account from sending, usually because of spam or a stolen password. Change the password, find out what was sent, then ask the provider to release the account."
	remedySenderAddress = "The sender address was refused: it, or its domain, does not exist for the mail server. Correct the From address, its domain's DNS, or the account's return path."
	remedyHello         = "The mail server does not like the name this computer introduces itself with. Give the computer a full host name with a domain."
	remedyRelay         = "The mail server does not forward mail for this account. Check host, port and login; where it knows senders by their IP address, have this computer's address allowed. If it is the recipient's server that says so, it no longer handles that domain."
	remedyDomainAuth    = "The mail failed the checks that guard the sender's domain (SPF, DKIM, DMARC). Whoever manages the domain has to list this mail server in SPF and switch on DKIM signing."
	remedyPTR           = "The mail server's IP address has no matching name in reverse DNS. Whoever owns that address has to set it, or send through the provider's own server."

	// Limits.
	remedyQuota         = "A sending limit of the provider is reached. The mails wait and go by themselves once the limit allows it; lower the account's rate or limits in jobs.yaml if this repeats."
	remedyRate          = "The provider wants mail more slowly. Nothing to do now; lower the account's rate in jobs.yaml if this repeats."
	remedyConcurrent    = "Too many connections at once for this account. Lower its `connections`, and look for other programs that send through it."
	remedyServerRate    = "The mail server limits what it takes from this address at the moment. The mails wait and are tried again; lower the rate if this repeats."
	remedyFlood         = "The receiving provider saw an unusual amount of mail from your domain or address. Sending slows down by itself; stop mass mailings and check that the recipients expect them."
	remedyTooManyRcpt   = "The mail has more recipients than the server takes at once. The rest is sent in further parts by itself."
	remedyBadRecipients = "Too many mails went to addresses that do not exist, so the provider blocks the account. Stop the mailing and clean the address list before going on."

	// Reputation.
	remedyIPListed     = "The mail server's IP address is on a block list or refused by the other side. Ask the provider of that server to have it removed, or send through another account."
	remedyIPDenied     = "The provider does not accept mail from this IP address or organisation. The mail administrator has to ask the provider to lift the block."
	remedyReputation   = "The sending domain has a bad name with the receiving provider. Send less, only to people who expect it, and check SPF, DKIM and DMARC; sending is tried again later."
	remedySpamContent  = "The receiving side took this mail for spam. Change the text, the links or the attachment and send it again; check SPF and DKIM if it happens often."
	remedySpamRefused  = "The receiving side refuses mail from here as spam. Reach the recipient in another way; ask the provider about the server's reputation if it happens often."
	remedySpamSource   = "The mail server takes this sender for a source of spam. Ask the provider what it saw and have the block lifted."
	remedyListedLink   = "A link in the mail points to a site that is on a block list. Remove or replace the link and send the mail again."
	remedyVirus        = "The mail was refused as dangerous: a virus, or an attachment that looks like one. Check the file and send it in another form."
	remedyPolicy       = "A rule of the receiving side forbids this mail. Read its reply; change the content or the attachment, or ask the recipient's IT."
	remedyPolicyRcpt   = "The recipient's side does not take mail from this sender. Ask the recipient to allow the address."
	remedyAccessRcpt   = "A rule of the mail server forbids this recipient. If it says so of every recipient, it wants a login: give the account a username and a password. Else ask its provider."
	remedyPolicySender = "A rule of the mail server forbids sending with this account or address. Read its reply and ask the provider."
	remedyPolicyServer = "The mail server refuses connections from this computer by a rule of its own. Ask its provider to allow this computer's address."

	// The message.
	remedySize    = "The mail is too large for the server or the recipient. Make the attachments smaller, or send a link."
	remedyFormat  = "The mail server finds the mail's form wrong. Look at the row's own headers and addresses; if they are in order, report this to whoever runs outboxd."
	remedyCharset = "The server on the way cannot take an address or header with international characters. Use an address with plain letters."
	remedyLoop    = "The mail went round in circles between servers. The mail administrator of the recipient's domain, or of your relay, has to correct the routing; then send the mail again."
	remedyExpired = "The provider tried for days to reach the recipient's server and gave up. Check the address, and send the mail again when the other side is back."

	// The recipient.
	remedyUnknownUser   = "The address does not exist. Ask the recipient for the right one and correct it where the address is kept."
	remedyUnknownDomain = "The part after the @ does not exist or takes no mail. Look for a typing error in the domain."
	remedyDisabled      = "The recipient's mailbox is switched off. Ask the recipient for another address."
	remedyMailboxFull   = "The recipient's mailbox is full. Tell the recipient in another way, or use another address."
	remedyGreylist      = "The recipient's server asks unknown senders to come back later. Nothing to do; the mail is tried again by itself."
	remedyRcptBusy      = "The recipient is getting too much mail at the moment. Nothing to do; the mail is tried again by itself."

	// Everything else.
	remedyServer             = "The mail server has trouble of its own. Nothing to do; sending goes on by itself. Ask its provider if it lasts."
	remedyTemporaryRecipient = "The server cannot take mail for this recipient at the moment. Nothing to do; the mail is tried again by itself."
	remedyTemporaryMessage   = "The server could not take this mail at the moment. Nothing to do; it is tried again by itself."
	remedyRejectedServer     = "The mail server turns this computer away. Check the account's host and port, and ask the provider whether this computer may connect."
	remedyRejectedSender     = "The mail server refuses this sender. Check the account's From address and return path, and ask the provider."
	remedyRejectedRecipient  = "The server refuses this recipient. Check the address; ask the recipient if it is right."
	remedyRejectedMessage    = "The server refuses this mail. Read its reply, change the mail, and send it again."
	remedyGarbage            = "The server answered something that is not SMTP. Check the account's host and port; a proxy or virus scanner in between may be at fault."

	// No reply.
	remedyUncertain   = "The mail was handed over but the server's answer got lost, so nobody knows whether it arrived. Look into the provider's sent mail or ask the recipient; then say so with `outboxd queue settle`, or send it again with `outboxd queue retry`."
	remedyConnection  = "The mail server cannot be reached or broke off. Nothing to do if it heals by itself; else check the account's host and port, the network and the firewall."
	remedyNoHost      = "The name of the mail server cannot be found. Check the account's `host` and this computer's DNS."
	remedyRefused     = "Nothing answers on that host and port. Check the account's `host` and `port`, and the firewall."
	remedySlow        = "The mail server did not answer in time. Nothing to do if it heals by itself; else check the network and ask the provider."
	remedyCertificate = "The mail server's certificate is not trusted. If the server has its own certificate authority, name its file under the account's `ca`; else ask the provider."
	remedyCertName    = "The mail server's certificate is for another name. Put the name the provider gives into the account's `host`."
	remedyCertExpired = "The mail server's certificate has expired or is not valid yet. Check this computer's clock; else the provider has to renew it."
	remedyNotTLS      = "The server does not speak TLS on this port. Use `encryption: starttls` with port 587, or `tls` with port 465."
	remedyHandshake   = "The mail server broke off the TLS handshake. Ask its provider which TLS versions it supports; 1.2 or newer is needed."
)
