package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail"
	"outboxd/mail/sendercheck"
)

// certificateSoon is how long before its end a certificate is warned of.
const certificateSoon = 14 * 24 * time.Hour

// account looks at one account: a single login tells all.
type account struct {
	*jobfile.Account
	now   time.Time
	reply jobs.AccountTestReply
	found []finding
}

func (a *account) add(id string, level sendercheck.Level, text, remedy string) {
	a.found = append(a.found, found(id, level, "account "+a.Name, text, remedy))
}

func lookAtAccount(ctx context.Context, state *jobs.State, conf *jobfile.Account, now time.Time) []finding {
	a := &account{Account: conf, now: now}
	a.signIn(ctx, state)
	a.reply = jobs.TestLogin(ctx, state, conf)
	a.connection()
	a.encryption()
	a.mechanisms()
	a.login()
	a.passwordEnds()
	a.limits()
	return a.found
}

// step is the result of a step of the login, and whether it came to it.
func (a *account) step(name string) (jobs.TestStep, bool) {
	for _, s := range a.reply.Steps {
		if s.Step == name && s.Result != jobs.StepNotTried {
			return s, true
		}
	}
	return jobs.TestStep{}, false
}

// signIn renews the token of an account that signs in by OAuth, which the login takes then, and tells what of the sign-in ends soon.
func (a *account) signIn(ctx context.Context, state *jobs.State) {
	if a.OAuth == nil {
		return
	}
	const id = "auth.oauth_expiry"
	warnings, err := jobs.CheckSignIn(ctx, state, a.Account, a.now)
	if err != nil {
		a.add(id, levelFail, err.Error(), hintOf(err))
		return
	}
	var texts, remedies []string
	for _, w := range warnings {
		texts, remedies = append(texts, w.Text), append(remedies, w.Remedy)
	}
	if len(warnings) > 0 {
		a.add(id, levelWarn, strings.Join(texts, "; "), strings.Join(remedies, " "))
		return
	}
	a.add(id, levelOK, "the sign-in can be renewed, and nothing of it ends soon", "")
}

// connection tells of the steps that have no check of their own. Without a token there was no connection.
func (a *account) connection() {
	if s, _ := a.step(jobs.StepSignIn); s.Result == jobs.StepFailed {
		return
	}
	own := []string{mail.StepTLS.String(), mail.StepAuth.String(), jobs.StepSignIn}
	var texts []string
	for _, s := range a.reply.Steps {
		switch {
		case slices.Contains(own, s.Step):
		case s.Result == jobs.StepFailed:
			a.add("smtp.connect", levelFail, s.Step+": "+s.Text, s.Remedy)
			return
		case s.Result == jobs.StepOK && s.Text != "":
			texts = append(texts, s.Text)
		}
	}
	a.add("smtp.connect", levelOK, strings.Join(texts, "; "), "")
}

// encryption tells whether the connection is secured, and for how long the certificate lasts.
func (a *account) encryption() {
	const id = "tls.smtp"
	s, tried := a.step(mail.StepTLS.String())
	until := a.reply.CertificateUntil
	switch {
	case !tried:
	case s.Result == jobs.StepFailed:
		a.add(id, levelFail, "tls: "+s.Text, s.Remedy)
	case s.Result == jobs.StepNone && isLocal(a.Host):
		a.add(id, levelOK, "none: the server is on this computer", "")
	case s.Result == jobs.StepNone:
		a.add(id, levelFail, "none: mails cross the network in clear", "encryption: starttls or tls, if the server knows either")
	case until != nil && until.Sub(a.now) < certificateSoon:
		a.add(id, levelWarn, fmt.Sprintf("the server's certificate ends on %s: with it the account stops", until.UTC().Format("2006-01-02")), "ask whoever runs the server to renew it")
	default:
		text := s.Text
		if text == "" && until != nil {
			text = "verified, certificate valid until " + until.UTC().Format("2006-01-02")
		}
		a.add(id, levelOK, text, "")
	}
}

// isLocal tells whether a host is this computer.
func isLocal(host string) bool {
	at, err := netip.ParseAddr(host)
	return err == nil && at.Unmap().IsLoopback() || host == "localhost"
}

// mechanisms tells whether the server offers a login of the account's kind.
func (a *account) mechanisms() {
	wanted := map[string][]string{jobfile.Auto: {"PLAIN", "LOGIN", "CRAM-MD5"}, jobfile.XOAuth2: {"XOAUTH2"}}[a.Auth]
	if wanted == nil {
		wanted = []string{strings.ToUpper(a.Auth)}
	}
	// What is offered before TLS counts for nothing.
	if s, tried := a.step(mail.StepAuth.String()); !tried || s.Result == jobs.StepNone {
		return
	}
	offered := offeredLogins(a.reply.Offers)
	for _, m := range wanted {
		if slices.Contains(offered, m) {
			a.add("auth.mechs", levelOK, m+" is offered", "")
			return
		}
	}
	text := "no login is offered"
	if len(offered) > 0 {
		text = fmt.Sprintf("%s is not offered, but %s", strings.Join(wanted, " or "), strings.Join(offered, ", "))
	}
	a.add("auth.mechs", levelFail, text, "logins are off for this server, or the port is another one: many servers offer one only with encryption and on port 587 or 465; auth must name what is offered")
}

// offeredLogins are the mechanisms in the lines of an EHLO, in capitals.
func offeredLogins(lines []string) (all []string) {
	for _, line := range lines {
		words := strings.Fields(strings.ToUpper(strings.Replace(line, "=", " ", 1))) // AUTH=LOGIN is an old form
		if len(words) > 1 && words[0] == "AUTH" {
			all = append(all, words[1:]...)
		}
	}
	return all
}

// login tells how the login went, unless it could not be tried for what another check says.
func (a *account) login() {
	s, tried := a.step(mail.StepAuth.String())
	refused := slices.ContainsFunc(a.found, func(f finding) bool { return f.ID == "auth.mechs" && f.Level == levelFail })
	switch {
	case !tried || refused:
	case s.Result == jobs.StepFailed:
		a.add("auth.login", levelFail, "auth: "+s.Text, s.Remedy)
	case s.Result == jobs.StepOK:
		a.add("auth.login", levelOK, s.Text, "")
	}
}

// passwordEnds tells of providers that stop to take passwords.
func (a *account) passwordEnds() {
	const id = "auth.basic_o365"
	ends := a.Preset().PasswordEnds
	if host := strings.ToLower(a.Host); ends.IsZero() && (host == "office365.com" || strings.HasSuffix(host, ".office365.com")) {
		ends = (&jobfile.Account{Provider: jobfile.Office365}).Preset().PasswordEnds
	}
	if ends.IsZero() || a.Auth == jobfile.None {
		return
	}
	const remedy = "move the account to OAuth 2.0: oauth in place of password, and outboxd account login"
	s, tried := a.step(mail.StepAuth.String())
	day := ends.Format("2006-01-02")
	switch {
	case a.Auth == jobfile.XOAuth2:
		a.add(id, levelOK, "signs in with OAuth 2.0", "")
	case a.now.Before(ends):
		a.add(id, levelWarn, "signs in with a password, which Microsoft 365 takes until "+day+" unless an administrator extends it", remedy)
	case tried && s.Result == jobs.StepFailed:
		a.add(id, levelFail, "signs in with a password, which Microsoft 365 took until "+day, remedy)
	default:
		a.add(id, levelWarn, "signs in with a password, which Microsoft 365 was to take until "+day, remedy)
	}
}
