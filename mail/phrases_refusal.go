package mail

// blockRules: blocks of the account, of the IP address and of the domain, and rates that have no window.
var blockRules = []phraseRule{
	{
		name: "account blocked", at: anywhere,
		has: []string{"outbound sender", "outbound spam", "sending account", "sender account", "your account", "your mailbox", "tenant has",
			"sender has been", "user has been", "from sending", "sending has been", "sending is", "outgoing mail"},
		with: []string{"banned", "blocked", "suspend", "disabled", "restricted", "compromised", "bad outbound", "exceeded threshold", "locked",
			"abuse"},
		without: []string{"tried to reach", "recipient"},
		cause:   senderBlocked,
	},
	{
		name: "address denied by the provider", at: anywhere,
		has:   []string{"sending ip", "from this ip", "from your ip"},
		with:  []string{"access denied"},
		cause: ipDenied,
	},
	{
		name: "rate by address", at: anywhere, digit: 4,
		has: []string{"rate limit", "throttl", "deferred", "slow down", "too many messages", "too much mail", "server busy"},
		with: []string{"later from", "ip address", "ip reputation", "your ip", "this ip", "mail server", "this host", "your host", "your server", "unexpected volume",
			"complaints", "slow down"},
		without: []string{"permanently", "recipient", "blocked using", "blacklist"},
		cause:   serverRate,
	},
	{
		name: "sending quota", at: anywhere,
		has: []string{"sending quota", "sending limit", "message quota", "submission quota", "mail quota", "email quota", "outgoing quota",
			"outgoing limit", "outbound limit", "outbound quota", "sender quota", "quota of messages", "sending allowance", "max emails", "max mails",
			"max messages", "maximum number of messages", "maximum number of emails"},
		cause: quotaReached,
	},
	{
		name: "rate", at: anywhere,
		has: []string{"throttl", "rate limit", "ratelimit", "rate exceed", "rate is exceed", "sending rate", "message rate", "relay limit",
			"too many messages", "too many emails", "too many mails", "too much mail", "too fast", "too quickly", "you have exceeded", "you exceeded",
			"youve exceeded", "slow down", "message limit"},
		without: []string{"recipient", "size"},
		cause:   rateExceeded,
	},
	{
		name: "listed link", at: atContent,
		has:   []string{"uribl", "surbl", "url in", "link in", "links in", "domain in the message", "body contains", "contains a url", "contains a link"},
		cause: cause{ClassBlockedReputation, ScopeMessage, RetryNo, RetryBackoff, remedyListedLink},
	},
	{
		name: "domain reputation", at: anywhere,
		has:   []string{"reputation"},
		with:  []string{"domain"},
		cause: cause{ClassBlockedReputation, ScopeAccount, RetryLater, RetryLater, remedyReputation},
	},
	{
		name: "address listed", at: anywhere,
		has: []string{"blocked using", "block list", "blocklist", "blacklist", "black list", "dnsbl", "rbl", "spamhaus", "spamcop", "barracuda",
			"sorbs", "banned sending ip", "from this ip", "client host", "your ip", "ip address", "ip blocked", "listed at", "listed by",
			"permanently deferred", "reputation"},
		with: []string{"block", "blacklist", "black list", "bl ", "list", "banned", "not accepted", "refused", "rejected", "denied", "deferred",
			"reputation", "spamhaus", "spamcop"},
		without: []string{"recipient address rejected", "recipient has", "by recipient", "by the recipient", "recipients", "likely"},
		cause:   ipListed,
	},
}

// messageRules: the message as such, whoever it is for.
var messageRules = []phraseRule{
	{
		name: "size", at: atMailOn,
		has: []string{"message size", "too large", "too big", "message exceed", "mail size", "size limit", "size exceed", "exceeds fixed",
			"maximum size", "max size", "message length", "attachment size"},
		without: []string{"mailbox size"},
		cause:   tooLarge,
	},
	{
		name: "loop", at: atRcptOn,
		has:   []string{"hop count", "too many hops", "mail loop", "routing loop", "loops back", "loop detected", "too many received"},
		cause: mailLoop,
	},
	{
		name: "route expired", at: atContent,
		has:   []string{"message expired", "delivery time expired", "delivery expired", "retry timeout", "could not be delivered for"},
		cause: routeExpired,
	},
	{
		name: "format", at: atContent,
		has: []string{"rfc 5322", "rfc5322", "rfc 2822", "rfc2822", "rfc 822", "header is missing", "missing header", "header missing", "missing from",
			"missing date", "missing message", "malformed", "duplicate header", "multiple from", "bare lf", "bare cr", "line too long", "lines too long",
			"line length", "invalid header", "header syntax", "bad header"},
		cause: badFormat,
	},
	{
		name: "international", at: atMailOn,
		has:   []string{"smtputf8", "non ascii", "internationalized", "utf8 address", "utf 8 address"},
		cause: badCharset,
	},
}

// senderRules: the envelope sender and the name we greet with.
var senderRules = []phraseRule{
	{
		name: "hello", at: anywhere,
		has:     []string{"helo", "ehlo", "hello"},
		with:    []string{"reject", "invalid", "fully qualified", "need", "not found", "bad", "syntax", "does not resolve", "forged"},
		without: []string{"first"},
		cause:   cause{ClassConfig, ScopeAccount, RetryStop, RetryStop, remedyHello},
	},
	{
		name: "sender address", at: atMailOn,
		has: []string{"sender address rejected", "sender rejected", "sender verify fail", "sender verification fail", "sender domain", "invalid sender",
			"unknown sender", "bad sender", "unroutable sender", "unrouteable sender",
			"domain of sender", "sender address", "return path", "envelope sender", "envelope from", "mail from"},
		with: []string{"reject", "fail", "not exist", "doesnt exist", "not found", "unknown", "invalid", "bad ", "not resolve", "unresolv", "no mx",
			"null mx", "unrout", "cannot be verified", "could not be verified", "unverified"},
		without: []string{"spam", "recipient address"},
		cause:   senderAddress,
	},
}

// recipientRules: the recipient's mailbox and domain.
var recipientRules = []phraseRule{
	{
		name: "mailbox full", at: atRcptOn,
		has: []string{"mailbox full", "mailbox is full", "mailbox quota", "over quota", "overquota", "over the quota", "quota exceed", "quota is exceed",
			"exceeded quota", "exceeded its quota", "exceeded storage", "exceeds storage", "storage limit", "storage quota", "out of storage",
			"not enough space", "not enough storage", "no space left in", "inbox is full", "inbox full", "full mailbox", "mailbox has exceeded",
			"mailbox size", "disk quota", "user is full", "account is full"},
		cause: mailboxFull,
	},
	{
		name: "mailbox disabled", at: atRcptOn,
		has: []string{"account", "mailbox", "inbox", "user ", "recipient", "address"},
		with: []string{"disabled", "inactive", "suspended", "deactivated", "blocked", "closed", "not active", "frozen", "locked", "has expired",
			"is expired", "retired"},
		without: []string{"user unknown", "unknown user", "spam", "policy", "sender"},
		cause:   disabledMailbox,
	},
	{
		name: "unknown domain", at: atRcptOn,
		has: []string{"domain not found", "domain does not exist", "domain doesnt exist", "no such domain", "unknown domain", "domain unknown",
			"domain name not", "host unknown", "unknown host", "host not found", "host or domain", "name or service", "nxdomain", "null mx", "nullmx",
			"no mx", "does not accept mail", "does not accept email", "doesnt accept mail", "does not receive mail", "unroutable", "unrouteable",
			"domain nonexistent", "domain is not reachable"},
		cause: unknownDomain,
	},
	{
		name: "unknown domain by its name", at: atRcptOn,
		has:     []string{"dns domain", "recipient domain", "destination domain", "the domain"},
		with:    []string{"does not exist", "doesnt exist", "not found", "nonexistent", "not exist", "invalid", "not resolve"},
		without: []string{"sender"},
		cause:   unknownDomain,
	},
	{
		name: "access of the recipient", at: atRcpt, subject: 7, // Exchange says the same of unknown users, with subject 4
		has:   []string{"recipient address rejected access denied"},
		cause: cause{ClassPolicy, ScopeRecipient, RetryNo, RetryBackoff, remedyAccessRcpt},
	},
	{
		name: "unknown user", at: atRcptOn,
		has: []string{"user unknown", "unknown user", "no such user", "no such recipient", "no such mailbox", "no such address", "no such person",
			"no such account", "does not exist", "doesnt exist", "do not exist", "not exist", "doesnt have a", "does not have a", "dont have an account",
			"recipient not found", "mailbox not found", "user not found", "address not found", "account not found", "recip not found", "was not found",
			"not found", "no mailbox", "invalid recipient", "invalid mailbox", "invalid user", "recipient invalid", "unknown recipient",
			"recipient unknown", "unknown address", "address unknown", "unknown mailbox", "unknown local", "unknown account", "unknown or illegal",
			"not our customer", "no longer on", "no longer valid", "no longer in", "no longer work", "no longer available", "no longer exist",
			"mailbox unavailable", "mailbox not available", "not a valid", "not known", "not a known", "not listed in", "no account", "has moved",
			"has been deleted", "undeliverable address", "recipient address rejected access denied", "recipient not local", "address error",
			"isnt a valid", "user doesnt"},
		without: []string{"spam", "policy"},
		cause:   unknownUser,
	},
}

// spamWords are the words for unwanted mail. What they are about depends on how far the dialogue has come.
var spamWords = []string{"spam", "unsolicited", "junk", "bulk mail", "bulk email", "content filter", "suspicious", "phish"}

// policyWords are the words for a rule of the other side that names no cause.
var policyWords = []string{"policy", "policies", "security issue", "security reason", "prohibit", "not allowed", "not permitted", "administrative",
	"content reject", "attachment", "file type", "blocked", "banned", "access denied", "restricted", "blacklist", "block list", "blocklist"}

// contentRules: what the other side thinks of the mail, or of us.
var contentRules = []phraseRule{
	{
		name: "virus", at: atContent,
		has:     []string{"virus", "malware", "trojan", "executable", "infected"},
		without: spamWords,
		cause:   cause{ClassPolicy, ScopeMessage, RetryNo, RetryBackoff, remedyVirus},
	},
	{
		name: "spam", at: atContent, has: spamWords,
		cause: cause{ClassBlockedReputation, ScopeMessage, RetryNo, RetryBackoff, remedySpamContent},
	},
	{
		name: "spam at the recipient", at: atRcpt, has: spamWords,
		cause: cause{ClassBlockedReputation, ScopeRecipient, RetryNo, RetryBackoff, remedySpamRefused},
	},
	{
		name: "spam at the sender", at: atMail, has: spamWords,
		cause: cause{ClassBlockedReputation, ScopeAccount, RetryStop, RetryLater, remedySpamSource},
	},
	{
		name: "spam at the greeting", at: atGreeting, has: spamWords,
		cause: cause{ClassBlockedReputation, ScopeServer, RetryStop, RetryLater, remedyIPListed},
	},
	{name: "policy on content", at: atContent, digit: 5, has: policyWords, cause: policyMessage},
	{name: "policy on the recipient", at: atRcpt, digit: 5, has: policyWords, cause: policyRcpt},
	{
		name: "policy on the sender", at: atMail, digit: 5, has: policyWords,
		cause: cause{ClassPolicy, ScopeAccount, RetryStop, RetryBackoff, remedyPolicySender},
	},
	{
		name: "policy at the greeting", at: atGreeting, digit: 5, has: policyWords,
		cause: cause{ClassPolicy, ScopeServer, RetryStop, RetryBackoff, remedyPolicyServer},
	},
}
