package mail

// phraseRules are asked in this order, the first that fits decides. What is narrow stands before what is wide: a
// recipient's own limits before the sender's, quotas before the words they share with refusals, and the sender's address
// before the recipient's.
var phraseRules = joinRules(recipientLimitRules, quotaRules, domainRules, loginRules, blockRules, messageRules, senderRules, recipientRules, contentRules, serverRules)

func joinRules(groups ...[]phraseRule) []phraseRule {
	var all []phraseRule
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

// recipientLimitRules: the recipient's side limits or refuses, though the words speak of senders and rates.
var recipientLimitRules = []phraseRule{
	{
		name: "restricted recipient", at: atRcptOn,
		has: []string{"delivery restriction", "for group", "to this group", "send to this", "mail to this", "members only", "only members",
			"only accepts", "accepts messages only", "accepts mail only", "moderated", "closed list", "internal only", "resolver rst"},
		with: []string{"not authenticated", "not allowed", "not permitted", "not authorized", "not authorised", "restrict", "only", "moderated",
			"closed", "may not", "auth required"},
		cause: policyRcpt,
	},
	{
		name: "recipient rate", at: atRcptOn,
		has: []string{"receiving mail at a rate", "receiving mail too", "receiving too many", "received too many", "recipient thread limit",
			"for this recipient", "recipient is receiving", "mailbox is receiving"},
		with:  []string{"rate", "too many", "too quickly", "thread limit"},
		cause: cause{ClassThrottled, ScopeRecipient, RetryBackoff, RetryBackoff, remedyRcptBusy},
	},
	{
		name: "greylist", at: anywhere,
		has:   []string{"greylist", "graylist", "grey list", "gray list", "postgrey"},
		cause: cause{ClassTemporary, ScopeRecipient, RetryBackoff, RetryBackoff, remedyGreylist},
	},
}

// quotaRules: the account's own limits and rates.
var quotaRules = []phraseRule{
	{
		name: "licence", at: anywhere,
		has:   []string{"license", "licence"},
		with:  []string{"invalid", "expired", "missing", "no valid", "without", "not have"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyLicence},
	},
	{
		name: "send as", at: anywhere,
		has: []string{"send as", "send on behalf", "sendas", "not owned by", "does not belong to", "must match the auth", "match the authenticated",
			"match authenticated", "match your login", "send from this address", "send using this address", "use this sender", "use this from",
			"unauthorized sender", "unauthorised sender", "sender not authorized", "sender not authorised", "sender is not authorized",
			"sender mismatch", "identities failed", "email address is not verified", "sender not verified", "address not verified"},
		without: []string{"relay"},
		cause:   sendAsDenied,
	},
	{
		name: "sender's mailbox full", at: anywhere,
		has: []string{"sender throttled", "storedrv submission", "senders mailbox", "sender mailbox", "sending mailbox", "your own mailbox"},
		with: []string{"mailbox full", "mailbox is full", "over quota", "shutoff quota", "out of space", "out of storage", "storage quota",
			"storage limit", "exceeded its quota"},
		cause: cause{ClassSenderQuota, ScopeAccount, RetryStop, RetryStop, remedySenderMailbox},
	},
	{
		name: "too many bad recipients", at: anywhere,
		has: []string{"too many invalid recipient", "too many bad recipient", "too many unknown", "too many failed recipient",
			"too many nonexistent", "continuous invalid recipient", "too many bounces", "excessive bounces", "high bounce", "bounce rate"},
		cause: cause{ClassBlockedReputation, ScopeAccount, RetryStop, RetryBackoff, remedyBadRecipients},
	},
	{
		name: "too many logins", at: anywhere,
		has:   []string{"login attempt", "too many login", "too many auth", "too many failed", "too many bad auth", "authentication attempts", "login rate"},
		with:  []string{"too many", "rate", "exceed", "limit"},
		cause: cause{ClassThrottled, ScopeAccount, RetryLater, RetryLater, remedyLoginTooMany},
	},
	{
		name: "concurrent connections", at: anywhere,
		has:     []string{"concurrent", "simultaneous"},
		with:    []string{"limit", "exceed", "too many", "maximum"},
		without: []string{"ip ", "client host", "your host", "this host"},
		cause:   cause{ClassThrottled, ScopeAccount, RetryBackoff, RetryBackoff, remedyConcurrent},
	},
	{
		name: "connections", at: anywhere,
		has:   []string{"connections", "concurrent", "simultaneous", "connection rate", "connection limit"},
		with:  []string{"too many", "exceed", "maximum", "limit", "rate"},
		cause: cause{ClassThrottled, ScopeServer, RetryBackoff, RetryBackoff, remedyServerRate},
	},
	{
		name: "rate by the minute", at: anywhere,
		has:   []string{"per minute", "a minute", "per second", "a second", "messages minute"},
		with:  []string{"limit", "exceed", "too many", "maximum", "max ", "rate"},
		cause: rateExceeded,
	},
	{
		name: "quota in a window", at: anywhere,
		has: []string{"daily", "hourly", "monthly", "per hour", "per day", "per month", "an hour", "a day", "24 hour", "24h", "one hour", "this hour",
			"today", "for the day"},
		with:  []string{"limit", "quota", "exceed", "maximum", "max ", "too many", "reached", "allowance"},
		cause: quotaReached,
	},
	{
		name: "sender throttled", at: anywhere,
		has:   []string{"sender throttled"},
		cause: quotaReached,
	},
	{
		name: "too many recipients", at: atRcptOn,
		has: []string{"too many recipients", "too many rcpt", "recipients limit", "recipient limit", "number of recipients", "recipients per message",
			"recipients in one", "too many envelope"},
		cause: tooManyRcpt,
	},
	{
		name: "flood by address", at: anywhere,
		has:   []string{"unusual rate", "unusually high", "unusual amount", "mail flood"},
		with:  []string{"ip ", "your server"},
		cause: cause{ClassThrottled, ScopeServer, RetryLater, RetryLater, remedyFlood},
	},
	{
		name: "flood", at: anywhere,
		has:   []string{"unusual rate", "unusually high", "unusual amount", "mail flood"},
		cause: flood,
	},
}

// domainRules: what guards the sender's domain, and encryption. They stand before plain rates, because a server may
// also "rate limit" a mail for lack of a signature.
var domainRules = []phraseRule{
	{
		name: "lookup of SPF, DKIM or DMARC failed for now", at: atMailOn, digit: 4,
		has:   []string{"spf", "dkim", "dmarc"},
		with:  []string{"temperror", "temporar", "lookup", "timeout", "timed out", "dns"},
		cause: cause{ClassTemporary, ScopeMessage, RetryBackoff, RetryBackoff, remedyTemporaryMessage},
	},
	{
		name: "SPF, DKIM, DMARC", at: anywhere,
		has: []string{"spf", "dkim", "dmarc", "sender policy framework", "unauthenticated email", "unauthenticated mail", "is unauthenticated",
			"required authentication level"},
		without: []string{"duplicate header"},
		cause:   domainAuth,
	},
	{
		name: "reverse DNS", at: anywhere,
		has: []string{"ptr record", "ptr ", "reverse dns", "rdns", "reverse lookup", "reverse host", "reverse name", "reverse address",
			"forward confirmed", "cannot find your hostname", "cannot find your reverse"},
		cause: missingPTR,
	},
	{
		name: "encryption", at: anywhere,
		has: []string{"starttls", "start tls", "tls 1 ", "tls1", "tlsv1", "tls connection", "tls required", "tls is required", "require tls",
			"requires tls", "must use tls", "ssl required", "encryption required", "encryption needed", "encryption is required", "encrypted connection",
			"secure connection"},
		without: []string{"not available", "temporar"},
		cause:   needsTLS,
	},
}

// loginRules: the login itself. A remedy is worth most here, since a person has to act.
var loginRules = []phraseRule{
	{
		name: "app password", at: anywhere,
		has:   []string{"application specific password", "app specific password", "app password", "application password", "second factor"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyAppPassword},
	},
	{
		name: "web browser", at: atAuth | atMailOn,
		has:   []string{"web browser", "via your browser", "log in via the web", "through the web"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyBrowser},
	},
	{
		name: "SMTP sign-in off", at: anywhere,
		has: []string{"client authentication", "smtp auth", "authenticated smtp", "smtp access"},
		with: []string{"is disabled", "disabled for", "not enabled", "not allowed", "switched off", "turned off", "is not available",
			"has been disabled"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedySMTPAuthOff},
	},
	{
		name: "OAuth", at: anywhere,
		has: []string{"basic auth", "oauth", "modern auth", "legacy auth", "less secure app"},
		with: []string{"disabled", "not supported", "not allowed", "unsupported", "blocked", "retired", "no longer", "required", "must use",
			"deprecated"},
		cause: cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyOAuth},
	},
	{
		name: "login locked", at: atGreeting | atAuth | atMail,
		has: []string{"is locked", "locked by", "locked out", "account locked", "security default", "conditional access", "did not meet the criteria",
			"account disabled", "account is disabled", "account suspended", "account is suspended", "user is disabled", "user disabled",
			"mailbox disabled", "mailbox is disabled"},
		cause: authLocked,
	},
	{
		name: "relay", at: atMailOn,
		has: []string{"relay", "rcpthosts", "not a gateway", "non accepted domain"},
		with: []string{"denied", "denial", "not permitted", "not allowed", "prohibit", "unable to", "cannot", "refus", "credentials", "insecure", "not authorized",
			"not authorised", "forbidden", "do not", "dont", "no relay", "not a gateway", "rcpthosts", "reject", "disabled"},
		without: []string{"limit", "quota"},
		cause:   relayDenied,
	},
	{
		name: "client not known", at: anywhere, // how Postfix's usual port for sending says that it wants a login
		has:   []string{"client host rejected access denied"},
		cause: relayDenied,
	},
	{
		name: "login missing", at: anywhere,
		has: []string{"authentication required", "authentication is required", "authentication needed", "not authenticated", "must authenticate",
			"must be authenticated", "authenticate first", "please authenticate", "requires authentication", "need to authenticate",
			"need authentication", "auth first", "auth required", "login required", "log in first", "login first", "not logged in"},
		cause: authMissing,
	},
	{
		name: "login refused", at: anywhere, digit: 5,
		has: []string{"invalid credentials", "credentials invalid", "bad credentials", "incorrect credentials", "username and password",
			"user name or password", "username or password", "password not accepted", "incorrect password", "wrong password",
			"authentication failed", "authentication unsuccessful", "authentication failure", "login failed", "invalid login"},
		cause: authRefused,
	},
}

// serverRules: the server's own trouble, whatever the step.
var serverRules = []phraseRule{
	{
		name: "server trouble", at: anywhere &^ atAuth, digit: 4,
		has: []string{"server busy", "server is busy", "system busy", "server too busy", "load too high", "system load", "server error",
			"system problem", "system error", "queue file", "system storage", "disk full", "shutting down", "closing connection", "closing transmission",
			"service not available", "service unavailable", "service temporarily", "out of memory", "internal error", "tls not available",
			"maintenance"},
		cause: serverTrouble,
	},
}
