package mail

// ClassifyIMAP says what it means that an IMAP server (RFC 9051) refused something: its NO, BAD or BYE with the text after
// it, a response code in brackets (RFC 5530) included. The step is StepConnect for the greeting, StepAuth for the login and
// StepData for what follows. It is always the account's matter: the mailbox is only read, and no mail depends on it.
func ClassifyIMAP(step Step, text string) Outcome {
	r := Reply{Text: oneLine(text, maxText)}
	f := facts{step: step, digit: 5, subject: -1, words: plainWords(r.Text)}
	for i := range imapRules {
		if rule := &imapRules[i]; rule.fits(&f) {
			return outcomeOf(f, rule.cause, r)
		}
	}
	if step == StepAuth {
		return outcomeOf(f, cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyIMAPLogin}, r)
	}
	return outcomeOf(f, cause{ClassTemporary, ScopeAccount, RetryBackoff, RetryBackoff, remedyIMAPServer}, r)
}

// imapRules are asked in this order, the first that fits decides.
var imapRules = []phraseRule{
	{
		name: "app password", at: anywhere,
		has:   []string{"application specific password", "app specific password", "app password", "application password"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyIMAPAppPassword},
	},
	{
		name: "connections", at: anywhere,
		has:   []string{"too many simultaneous", "too many connections", "connection limit", "limit"},
		cause: cause{ClassThrottled, ScopeAccount, RetryBackoff, RetryBackoff, remedyIMAPBusy},
	},
	{
		name: "trouble", at: anywhere,
		has:   []string{"unavailable", "temporar", "try again", "inuse", "serverbug", "internal error", "shutting down"},
		cause: cause{ClassTemporary, ScopeAccount, RetryBackoff, RetryBackoff, remedyIMAPServer},
	},
	{
		name: "encryption", at: anywhere,
		has:   []string{"privacyrequired", "logindisabled", "plaintext"},
		cause: cause{ClassConfig, ScopeAccount, RetryStop, RetryStop, remedyIMAPTLS},
	},
	{
		name: "IMAP off", at: atAuth,
		has:   []string{"imap access", "imap is", "not enabled for imap", "enabled for imap use", "imap disabled"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyIMAPOff},
	},
	{
		name: "token", at: atAuth,
		has:   []string{"authenticate failed"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyIMAPToken},
	},
	{
		name: "Exchange Online", at: atAuth,
		has:   []string{"no login failed"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyIMAPPassword},
	},
	{
		name: "folder", at: atContent,
		has: []string{"nonexistent", "no such mailbox", "not exist", "doesnt exist", "unknown mailbox", "mailbox not found", "unknown namespace", "cannot open mailbox",
			"invalid mailbox"},
		cause: cause{ClassConfig, ScopeAccount, RetryStop, RetryStop, remedyIMAPFolder},
	},
}

const (
	remedyIMAPLogin       = "The IMAP server refused the user name or the password. Check both; many providers want an app password or OAuth 2.0, and IMAP switched on for the mailbox."
	remedyIMAPAppPassword = "The mailbox has 2-step verification, so its IMAP server takes no normal password. Make an app password (at Google: myaccount.google.com > Security > App passwords) and use that."
	remedyIMAPPassword    = "If this is Exchange Online (Microsoft 365): it has taken no passwords for IMAP since 2023, only OAuth 2.0. Look at the arrived mail in the mailbox itself, or test with a mailbox elsewhere. At other servers, check the user name and the password."
	remedyIMAPToken       = "The IMAP server refused the OAuth 2.0 token. The app needs the right IMAP.AccessAsUser.All (or IMAP.AccessAsApp), and IMAP has to be switched on for the mailbox."
	remedyIMAPOff         = "IMAP is switched off for this mailbox. Switch it on in the mailbox's settings or have its administrator do so, or test with another mailbox."
	remedyIMAPTLS         = "The IMAP server takes logins over TLS alone. Use imaps:// and port 993."
	remedyIMAPFolder      = "There is no such folder in the mailbox. Correct the part after the host in --read-back; INBOX is the usual one."
	remedyIMAPBusy        = "Too many programs are connected to this mailbox. Close some, or test again in a few minutes."
	remedyIMAPServer      = "The IMAP server has trouble of its own. Test again in a few minutes."
)
