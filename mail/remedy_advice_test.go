package mail

import (
	"strings"
	"testing"
)

// adviceCases are replies whose remedy must name something concrete.
var adviceCases = []struct {
	step Step
	code int
	text string
	want string // stands in the remedy
}{
	{StepAuth, 535, "5.7.8 Username and Password not accepted. - gsmtp", "16 letters"},
	{StepAuth, 535, "5.7.3 Authentication unsuccessful [X1.eurprd01.prod.exchangelabs.com]", "\"Authenticated SMTP\" is ticked"},
	{StepAuth, 535, "Authentication Credentials Invalid", "AWS access keys"},
	{StepAuth, 535, "5.7.8 wrong password", "The mail server refused"}, // nobody's words
	{StepAuth, 534, "5.7.9 Application-specific password required. - gsmtp", "myaccount.google.com"},
	{StepAuth, 534, "5.7.14 log in via your web browser - gsmtp", "say that it was you"},
	{StepAuth, 535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", "Set-CASMailbox"},
	{StepAuth, 535, "5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox.", "for this mailbox"},
	{StepAuth, 535, "5.7.139 Authentication unsuccessful, user is locked by your security defaults policy", "Conditional Access policy that leaves"},
	{StepAuth, 535, "5.7.139 the request did not meet the criteria to be authenticated", "Entra"},
	{StepAuth, 550, "5.7.30 Basic authentication is not supported for Client Submission.", "December 2026"},
	{StepAuth, 535, "5.7.139 Authentication unsuccessful, basic authentication is disabled.", "auth: xoauth2"},
	{StepMail, 530, "5.7.0 Authentication Required. - gsmtp", "Google saw no login"},
	{StepMail, 530, "5.7.57 Client not authenticated to send mail.", "Microsoft saw no login"},
	{StepAuth, 454, "4.7.0 Too many login attempts - gsmtp", "connections"},
	{StepAuth, 454, "4.7.0 temporary system problem - gsmtp", "Google cannot check"},
	{StepDot, 550, "5.2.253 Sender throttled due to continuous invalid license errors.", "Exchange licence"},
	{StepConnect, 421, "4.7.66 TLS 1.0 and 1.1 are not supported.", "TLS 1.2"},
	{StepMail, 530, "5.7.0 Must issue a STARTTLS command first", "encryption: starttls"},

	{StepDot, 550, "5.2.252 Sender throttled due to continuous send as denied errors.", "refuses everything"},
	{StepDot, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", "Delegation"},
	{StepDot, 554, "5.2.252 SendAsDenied; a@example.org not allowed to send as b@example.org", "Delegation"},
	{StepDot, 554, "Message rejected: Email address is not verified. The following identities failed the check", "sandbox"},
	{StepMail, 553, "5.7.1 <b@example.org>: Sender address rejected: not owned by user a@example.org", "this login"},
	{StepDot, 554, "5.2.2 mailbox full; STOREDRV.Submission.Exception:QuotaExceeded; over quota", "retention policy"},
	{StepDot, 550, "5.1.8 Access denied, bad outbound sender.", "Restricted entities"},
	{StepDot, 550, "5.7.501 Access denied. The sending account has been banned.", "stolen password"},
	{StepDot, 550, "5.7.705 Access denied, tenant has exceeded threshold.", "whole organisation"},
	{StepRcpt, 550, "Sender verify failed", "Create that mailbox"},
	{StepRcpt, 550, "5.7.1 Invalid credentials for relay [192.0.2.9].", "SMTP relay service"},
	{StepRcpt, 550, "5.7.64 TenantAttribution; Relay Access Denied", "Connectors"},
	{StepRcpt, 550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain", "smtp.office365.com"},
	{StepDot, 421, "4.7.32 From: isn't aligned with SPF or DKIM", "the From address's own domain"},
	{StepDot, 550, "5.7.515 sending domain doesn't meet the required authentication level. Spf= Fail", "(Fail)"},
	{StepDot, 550, "5.7.509 domain does not pass DMARC verification", "DMARC record"},
	{StepDot, 550, "5.7.26 unauthenticated email: authenticate with either SPF or DKIM", "neither SPF nor DKIM"},
	{StepDot, 550, "5.7.1 SPF check failed", "include"},
	{StepDot, 550, "5.7.1 Sender Policy Framework violation", "include"},
	{StepDot, 421, "4.7.30 DKIM did not pass", "DKIM key"},

	{StepDot, 550, "5.2.254 Sender throttled due to continuous too many recipients errors.", "fewer recipients"},
	{StepDot, 554, "5.2.0 the sender's submission quota was exceeded", "10,000"},
	{StepDot, 550, "5.7.232 your trial tenant has exceeded its daily limit", "trial"},
	{StepDot, 550, "5.7.233 your tenant exceeded its daily limit", "whole organisation"},
	{StepDot, 550, "5.4.5 Daily user sending limit exceeded. - gsmtp", "2,000"},
	{StepRcpt, 550, "5.4.5 Daily SMTP relay limit exceeded for user. - gsmtp", "This user"},
	{StepRcpt, 550, "5.7.1 Daily SMTP relay limit exceeded for customer. - gsmtp", "whole organisation"},
	{StepDot, 454, "Throttling failure: Daily message quota exceeded.", "SES console"},
	{StepDot, 550, "you have exceeded 200 mails per hour", "hosting plan"},
	{StepRcpt, 450, "4.2.1 Peak SMTP relay limit exceeded for customer.", "Google's relay"},
	{StepDot, 454, "Throttling failure: Maximum sending rate exceeded.", "sending rate"},
	{StepConnect, 432, "4.3.2 Concurrent connections limit exceeded.", "allows 3"},
	{StepConnect, 421, "4.7.0 Too many connections", "slower"},
	{StepConnect, 421, "4.7.0 [TSS04] Messages temporarily deferred due to unexpected volume", "Yahoo"},
	{StepDot, 421, "4.7.28 unusual rate of mail originating from your DKIM domain", "0.1 %"},
	{StepDot, 421, "4.7.28 unusual rate of mail originating from your IP address", "IP address down"},
	{StepRcpt, 452, "4.5.3 too many recipients - gsmtp", "(100)"},
	{StepDot, 550, "5.2.255 Sender throttled due to continuous invalid recipients errors.", "in a row"},

	{StepConnect, 550, "5.7.606 Access denied, banned sending IP [192.0.2.9].", "sender.office.com"},
	{StepDot, 550, "5.7.708 Access denied, traffic not accepted from this IP.", "open a case"},
	{StepConnect, 553, "5.7.2 [TSS09] All messages will be permanently deferred from your IP", "senders.yahooinc.com"},
	{StepConnect, 554, "5.7.1 Client host [192.0.2.9] blocked using bl.example.net", "Look it up"},
	{StepDot, 550, "5.7.1 very low reputation of the sending domain. - gsmtp", "warmup"},
	{StepDot, 550, "5.7.1 likely unsolicited mail. - gsmtp", "Postmaster Tools"},
	{StepDot, 552, "5.7.0 blocked: its content presents a potential security issue. - gsmtp", "encrypted archives"},
	{StepDot, 554, "5.7.1 Message rejected due to local policy.", "SPF, DKIM or DMARC"},
	{StepRcpt, 550, "5.7.133 not authenticated for group; sending to this group", "outside"},

	{StepDot, 552, "5.2.3 Your message exceeded the message size limits. - gsmtp", "25 MB"},
	{StepRcpt, 550, "5.2.3 RecipSizeLimit; message too large for this recipient", "for this recipient"},
	{StepRcpt, 550, "5.2.1 the account is inactive", "long time"},
	{StepRcpt, 550, "5.4.1 Recipient address rejected: Access denied.", "their settings"},
	{StepRcpt, 552, "5.2.2 inbox is out of storage space and inactive", "any more"},
	{StepDot, 550, "5.4.312 Message expired, DNS query failed", "DNS"},
}

func TestAdvice(t *testing.T) {
	reached := map[string]bool{}
	for _, c := range adviceCases {
		o := Classify(c.step, ParseReply(c.code, c.text))
		if !strings.Contains(o.Remedy, c.want) {
			t.Errorf("%s %d %s (%s): %q does not speak of %q", c.step, c.code, c.text, o.Class, o.Remedy, c.want)
		}
		reached[o.Remedy] = true
	}
	for _, a := range advices {
		if !reached[a.say] {
			t.Errorf("no case for the advice %q", a.say)
		}
	}
}

// TestAdviceStandsForARule: an advice for a remedy that no rule has would never be given.
func TestAdviceStandsForARule(t *testing.T) {
	general := map[string]bool{}
	for _, r := range phraseRules {
		general[r.cause.remedy] = true
	}
	for _, r := range statusRules {
		general[r.cause.remedy] = true
	}
	for step := StepConnect; step <= StepDot; step++ {
		general[temporaryAt(step).remedy], general[permanentAt(step, -1).remedy] = true, true
	}
	for _, a := range advices {
		if !general[a.of] {
			t.Errorf("no rule has the remedy that %q stands for", a.say)
		}
	}
}
