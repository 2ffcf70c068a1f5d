package mail

// The causes that several rules share.
var (
	authRefused     = cause{ClassAuth, ScopeAccount, RetryStop, RetryBackoff, remedyLogin}
	authMissing     = cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyAuthMissing}
	authLocked      = cause{ClassAuth, ScopeAccount, RetryStop, RetryStop, remedyLoginLocked}
	needsTLS        = cause{ClassConfig, ScopeAccount, RetryStop, RetryStop, remedyTLS}
	sendAsDenied    = cause{ClassSendAsDenied, ScopeAccount, RetryStop, RetryStop, remedySendAs}
	senderBlocked   = cause{ClassAccountBlocked, ScopeAccount, RetryStop, RetryLater, remedySenderBlocked}
	senderAddress   = cause{ClassConfig, ScopeAccount, RetryStop, RetryStop, remedySenderAddress}
	relayDenied     = cause{ClassRelayDenied, ScopeAccount, RetryStop, RetryStop, remedyRelay}
	domainAuth      = cause{ClassPolicy, ScopeAccount, RetryStop, RetryStop, remedyDomainAuth}
	missingPTR      = cause{ClassPolicy, ScopeServer, RetryStop, RetryStop, remedyPTR}
	quotaReached    = cause{ClassThrottled, ScopeAccount, RetryLater, RetryLater, remedyQuota}
	rateExceeded    = cause{ClassThrottled, ScopeAccount, RetryLater, RetryBackoff, remedyRate}
	serverRate      = cause{ClassThrottled, ScopeServer, RetryLater, RetryBackoff, remedyServerRate}
	flood           = cause{ClassThrottled, ScopeAccount, RetryLater, RetryLater, remedyFlood}
	tooManyRcpt     = cause{ClassThrottled, ScopeMessage, RetrySplit, RetrySplit, remedyTooManyRcpt}
	ipListed        = cause{ClassBlockedReputation, ScopeServer, RetryStop, RetryLater, remedyIPListed}
	ipDenied        = cause{ClassBlockedReputation, ScopeAccount, RetryStop, RetryLater, remedyIPDenied}
	tooLarge        = cause{ClassSize, ScopeMessage, RetryNo, RetryBackoff, remedySize}
	badFormat       = cause{ClassConfig, ScopeMessage, RetryNo, RetryBackoff, remedyFormat}
	badCharset      = cause{ClassConfig, ScopeMessage, RetryNo, RetryBackoff, remedyCharset}
	unknownUser     = cause{ClassUnknownUser, ScopeRecipient, RetryNo, RetryBackoff, remedyUnknownUser}
	unknownDomain   = cause{ClassUnknownDomain, ScopeRecipient, RetryNo, RetryBackoff, remedyUnknownDomain}
	disabledMailbox = cause{ClassDisabledMailbox, ScopeRecipient, RetryNo, RetryBackoff, remedyDisabled}
	mailboxFull     = cause{ClassMailboxFull, ScopeRecipient, RetryNo, RetryBackoff, remedyMailboxFull}
	policyRcpt      = cause{ClassPolicy, ScopeRecipient, RetryNo, RetryBackoff, remedyPolicyRcpt}
	policyMessage   = cause{ClassPolicy, ScopeMessage, RetryNo, RetryBackoff, remedyPolicy}
	serverTrouble   = cause{ClassTemporary, ScopeServer, RetryBackoff, RetryBackoff, remedyServer}

	// The two matters of a route behind our server that end one message and leave the account alone.
	mailLoop     = cause{ClassConfig, ScopeServer, RetryNo, RetryBackoff, remedyLoop}
	routeExpired = cause{ClassTemporary, ScopeServer, RetryNo, RetryBackoff, remedyExpired}
)

// statusRules read the enhanced status code: the IANA registry "SMTP Enhanced Status Codes" and, from detail 30 on, what
// large providers have added to it.
var statusRules = []statusRule{
	{"sender address", atMail, 0, 1, 1, 10, senderAddress},
	{"sender address", anywhere, 0, 1, 7, 8, senderAddress},
	{"bad mailbox", atRcptOn, 0, 1, 1, 1, unknownUser},
	{"bad system", atRcptOn, 0, 1, 2, 2, unknownDomain},
	{"bad syntax, ambiguous", atRcptOn, 0, 1, 3, 4, unknownUser},
	{"moved", atRcptOn, 0, 1, 6, 6, unknownUser},
	{"null MX", atRcptOn, 0, 1, 10, 10, unknownDomain},
	{"recipient quota", anywhere, 5, 1, 90, 90, quotaReached},

	{"mailbox disabled", atRcptOn, 0, 2, 1, 1, disabledMailbox},
	{"mailbox full", atRcptOn, 0, 2, 2, 2, mailboxFull},
	{"length limit", atMailOn, 0, 2, 3, 3, tooLarge},
	{"list expansion", atRcptOn, 0, 2, 4, 4, policyRcpt},
	{"send as", anywhere, 5, 2, 252, 252, sendAsDenied},
	{"sender throttled", anywhere, 5, 2, 251, 259, quotaReached},

	{"message too big", atMailOn, 0, 3, 4, 4, tooLarge},
	{"mail system", anywhere &^ atAuth, 4, 3, 0, 999, serverTrouble},

	{"sending quota", atRcptOn, 5, 4, 5, 5, quotaReached},
	{"loop", atRcptOn, 0, 4, 6, 6, mailLoop},
	{"expired", atContent, 0, 4, 7, 7, routeExpired},
	{"refused at the edge", atRcpt, 5, 4, 1, 1, unknownUser},
	{"no route", atRcptOn, 5, 4, 4, 4, unknownDomain},
	{"no such domain", atRcptOn, 5, 4, 310, 310, unknownDomain},
	{"network", anywhere &^ (atAuth | atRcpt), 4, 4, 0, 999, serverTrouble},

	{"too many recipients", atRcptOn, 0, 5, 3, 3, tooManyRcpt},

	{"international", atMailOn, 0, 6, 7, 9, badCharset},
	{"content form", atContent, 0, 6, 0, 99, badFormat},

	{"list forbidden", atRcptOn, 0, 7, 2, 2, policyRcpt},
	{"credentials", anywhere, 5, 7, 8, 8, authRefused},
	{"mechanism", atAuth | atMail, 5, 7, 9, 9, authRefused},
	{"encryption needed", anywhere, 0, 7, 10, 11, needsTLS},
	{"login disabled", atAuth | atMail, 0, 7, 12, 14, authLocked},
	{"account disabled", atRcptOn, 0, 7, 13, 13, disabledMailbox},
	{"owner changed", atRcptOn, 0, 7, 17, 18, unknownUser},
	{"sender domain", anywhere, 0, 7, 20, 24, domainAuth},
	{"reverse DNS", anywhere, 0, 7, 25, 25, missingPTR},
	{"several checks", anywhere, 0, 7, 26, 26, domainAuth},
	{"sender has null MX", anywhere, 0, 7, 27, 27, senderAddress},
	{"flood", anywhere, 0, 7, 28, 28, flood},
	{"chain of checks", anywhere, 0, 7, 29, 29, domainAuth},

	{"relay", atMailOn, 5, 7, 54, 54, relayDenied},
	{"login missing", anywhere, 0, 7, 57, 57, authMissing},
	{"send as", anywhere, 5, 7, 60, 60, sendAsDenied},
	{"connector", anywhere, 5, 7, 64, 64, relayDenied},
	{"restricted recipient", atRcptOn, 5, 7, 133, 136, policyRcpt},
	{"login refused", anywhere, 5, 7, 139, 139, authRefused},
	{"organisation quota", anywhere, 5, 7, 232, 233, quotaReached},
	{"sender banned", anywhere, 5, 7, 501, 503, senderBlocked},
	{"domain authentication", anywhere, 5, 7, 509, 515, domainAuth},
	{"banned address", anywhere, 5, 7, 606, 649, ipDenied},
	{"address limited", anywhere, 4, 7, 650, 659, serverRate},
	{"organisation blocked", anywhere, 5, 7, 700, 705, senderBlocked},
	{"address not accepted", anywhere, 5, 7, 708, 708, ipDenied},
}

// codeRules read the reply code alone (RFC 5321 4.2, RFC 4954 6, RFC 7504).
var codeRules = []codeRule{
	{"closing", 421, anywhere, serverTrouble},
	{"storage", 452, atMail | atContent, serverTrouble},
	{"sequence", 503, atMail | atRcpt | 1<<StepData, serverTrouble},
	{"account disabled", 525, atRcptOn, disabledMailbox},
	{"login needed", 530, atMailOn, authMissing},
	{"mechanism", 534, anywhere, authRefused},
	{"credentials", 535, anywhere, authRefused},
	{"encryption needed", 538, anywhere, needsTLS},
	{"not local", 551, atRcpt, unknownUser},
	{"too large", 552, atMail | atContent, tooLarge},
	{"storage", 552, atRcpt, mailboxFull},
	{"sender address", 553, atMail, senderAddress},
	{"recipient address", 553, atRcpt, unknownUser},
	{"no mail here", 556, atRcpt, unknownDomain},
}
