package main

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"outboxd/jobs"
	"outboxd/jobs/jobfile"
	"outboxd/mail/sendercheck"
	"outboxd/mail/smtptest"
)

// accountAt is an account of a server, with the password right, as jobs.yaml would give it.
func accountAt(t *testing.T, s *smtptest.Server) *jobfile.Account {
	t.Helper()
	folder := t.TempDir()
	ca, password := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "password")
	for path, text := range map[string]string{ca: string(s.CAPEM()), password: "right"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return &jobfile.Account{Name: "a", Provider: jobfile.Other, Host: s.Host(), Port: s.Port(), Encryption: jobfile.StartTLS, Auth: jobfile.Auto, CA: ca,
		Username: "eva", Password: jobfile.Secret{File: password}, Rate: jobfile.Rate{N: 300, Per: time.Hour}, Connections: 2}
}

// wantFindings compares findings with lines of ID LEVEL and a part of the text, all of them or none of an id that is not named.
func wantFindings(t *testing.T, what string, got []finding, want ...string) {
	t.Helper()
	seen := map[string]finding{}
	for _, f := range got {
		if _, twice := seen[f.ID]; twice {
			t.Errorf("%s: %s twice", what, f.ID)
		}
		seen[f.ID] = f
		if f.Level == levelFail && f.Remedy == "" {
			t.Errorf("%s: %s without what to do: %s", what, f.ID, f.Text)
		}
	}
	for _, line := range want {
		words := strings.SplitN(line, " ", 3)
		f, there := seen[words[0]]
		switch {
		case words[1] == "-":
			if there {
				t.Errorf("%s: %+v", what, f)
			}
		case string(f.Level) != words[1] || len(words) > 2 && !strings.Contains(f.Text, words[2]):
			t.Errorf("%s: want %s, got %s %s", what, line, f.Level, f.Text)
		}
	}
}

func TestOnlineAccount(t *testing.T) {
	users := smtptest.Users(map[string]string{"eva": "right"})
	for what, c := range map[string]struct {
		options []smtptest.Option
		change  func(a *jobfile.Account)
		later   time.Duration
		rule    *smtptest.Rule
		want    []string
	}{
		"good": {want: []string{"smtp.connect ok 127.0.0.1:", "tls.smtp ok certificate valid until", "auth.mechs ok PLAIN is offered", "auth.login ok PLAIN as eva", "auth.basic_o365 -", "limits.rate -"}},
		"tls from the first byte": {options: []smtptest.Option{smtptest.ImplicitTLS()}, change: func(a *jobfile.Account) { a.Encryption = jobfile.TLS },
			want: []string{"tls.smtp ok", "auth.login ok"}},
		"certificate ends soon":       {later: 17 * 24 * time.Hour, want: []string{"tls.smtp warn the server's certificate ends on", "auth.login ok"}},
		"certificate ends in 15 days": {later: 15 * 24 * time.Hour, want: []string{"tls.smtp ok"}},
		"certificate expired":         {options: []smtptest.Option{smtptest.WithCertificate(smtptest.CertExpired)}, want: []string{"tls.smtp fail expired", "auth.login -", "auth.mechs -"}},
		"wrong name":                  {options: []smtptest.Option{smtptest.WithCertificate(smtptest.CertWrongName)}, want: []string{"tls.smtp fail tls:", "auth.login -"}},
		"unknown authority":           {options: []smtptest.Option{smtptest.WithCertificate(smtptest.CertUnknownCA)}, want: []string{"tls.smtp fail tls:", "auth.login -"}},
		"old TLS":                     {options: []smtptest.Option{smtptest.MaxTLS(tls.VersionTLS11)}, want: []string{"tls.smtp fail tls:", "auth.login -"}},
		"no STARTTLS":                 {options: []smtptest.Option{smtptest.WithoutStartTLS()}, want: []string{"smtp.connect ok", "tls.smtp fail does not offer STARTTLS", "auth.login -"}},
		"in clear on this computer":   {change: func(a *jobfile.Account) { a.Encryption = jobfile.None }, want: []string{"tls.smtp ok on this computer", "auth.login ok"}},
		"other mechanisms":            {options: []smtptest.Option{smtptest.Mechanisms("GSSAPI", "XOAUTH2")}, want: []string{"auth.mechs fail PLAIN or LOGIN or CRAM-MD5 is not offered, but GSSAPI, XOAUTH2", "auth.login -"}},
		"one mechanism":               {options: []smtptest.Option{smtptest.Mechanisms("PLAIN")}, change: func(a *jobfile.Account) { a.Auth = "cram-md5" }, want: []string{"auth.mechs fail CRAM-MD5 is not offered, but PLAIN", "auth.login -"}},
		"no login":                    {options: []smtptest.Option{smtptest.Mechanisms()}, want: []string{"auth.mechs fail no login is offered", "auth.login -"}},
		"wrong password":              {change: func(a *jobfile.Account) { a.Username = "adam" }, want: []string{"tls.smtp ok certificate valid until", "auth.mechs ok", "auth.login fail 535"}},
		"wrong password, ends soon":   {later: 20 * 24 * time.Hour, change: func(a *jobfile.Account) { a.Username = "adam" }, want: []string{"tls.smtp warn", "auth.login fail 535"}},
		"nobody logs in":              {change: func(a *jobfile.Account) { a.Username, a.Auth = "", jobfile.None }, want: []string{"auth.mechs -", "auth.login -", "tls.smtp ok"}},
		"greeting":                    {rule: &smtptest.Rule{Step: smtptest.StepConnect, Do: smtptest.ReplyAndHangup("554 5.7.1 go away")}, want: []string{"smtp.connect fail connect: 554 5.7.1 go away", "tls.smtp -", "auth.login -"}},
		"hello":                       {rule: &smtptest.Rule{Step: smtptest.StepHello, Do: smtptest.Reply("550 5.7.1 who are you")}, want: []string{"smtp.connect fail hello: 550 5.7.1", "auth.login -"}},
		"password unreadable":         {change: func(a *jobfile.Account) { a.Password.File += "-gone" }, want: []string{"smtp.connect fail settings:", "tls.smtp -", "auth.login -"}},
		"password at Microsoft":       {change: office, want: []string{"auth.basic_o365 warn takes until 2026-12-31"}, later: time.Until(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))},
		"after its end, still taken":  {change: office, want: []string{"auth.basic_o365 warn was to take until 2026-12-31"}, later: time.Until(time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC))},
		"after its end, refused": {change: office, rule: &smtptest.Rule{Step: smtptest.StepAuth, Do: smtptest.Reply("550 5.7.30 Basic authentication is not supported for Client Submission.")},
			want: []string{"auth.basic_o365 fail took until 2026-12-31", "auth.login fail 550 5.7.30"}, later: time.Until(time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC))},
	} {
		t.Run(what, func(t *testing.T) {
			s := smtptest.New(t, append([]smtptest.Option{users}, c.options...)...)
			if c.rule != nil {
				s.On(*c.rule)
			}
			a := accountAt(t, s)
			if c.change != nil {
				c.change(a)
			}
			wantFindings(t, what, lookAtAccount(t.Context(), jobs.OpenState("", ""), a, time.Now().Add(c.later)), c.want...)
			if n := s.Counts().Connections; n > 1 {
				t.Errorf("%d connections", n)
			}
		})
	}
}

func office(a *jobfile.Account) { a.Provider = jobfile.Office365 }

// What a provider ends it ends whatever provider jobs.yaml names, and OAuth is what it asks for.
func TestOnlinePasswordsAtMicrosoft(t *testing.T) {
	for host, level := range map[string]sendercheck.Level{"smtp.office365.com": levelWarn, "SMTP.Office365.com": levelWarn, "office365.com.acme.example": "", "smtp.acme.example": ""} {
		a := &account{Account: &jobfile.Account{Host: host, Auth: jobfile.Auto, Provider: jobfile.Other}, now: time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)}
		a.passwordEnds()
		if len(a.found) > 0 != (level != "") || level != "" && a.found[0].Level != level {
			t.Errorf("%s: %+v", host, a.found)
		}
	}
	a := &account{Account: &jobfile.Account{Provider: jobfile.Office365, Auth: jobfile.XOAuth2}}
	a.passwordEnds()
	wantFindings(t, "oauth", a.found, "auth.basic_o365 ok OAuth 2.0")
}

func TestOnlineMechanisms(t *testing.T) {
	for offers, want := range map[string]string{
		"SIZE 5|AUTH LOGIN XOAUTH2": "ok XOAUTH2 is offered", "AUTH=LOGIN xoauth2": "ok XOAUTH2 is offered", "AUTH LOGIN PLAIN": "fail XOAUTH2 is not offered, but LOGIN, PLAIN",
		"SIZE 5|AUTHX XOAUTH2|AUTH": "fail no login is offered",
	} {
		a := &account{Account: &jobfile.Account{Auth: jobfile.XOAuth2, Username: "eva"}, reply: jobs.AccountTestReply{Offers: strings.Split(offers, "|"), Steps: []jobs.TestStep{{Step: "auth", Result: jobs.StepFailed}}}}
		a.mechanisms()
		wantFindings(t, offers, a.found, "auth.mechs "+want)
	}
}

func TestOnlineLimits(t *testing.T) {
	hour, minute, day := time.Hour, time.Minute, 24*time.Hour
	for what, c := range map[string]struct {
		account jobfile.Account
		want    string
	}{
		"within": {jobfile.Account{Provider: jobfile.Office365, Connections: 3, Rate: jobfile.Rate{N: 300, Per: hour},
			Limits: []jobfile.Rate{{N: 30, Per: minute}, {N: 10000, Per: day, Recipients: true}}}, "ok 300/hour is within what the provider takes: 30/minute, 10000 recipients/day, 3 connections"},
		"at the minute's": {jobfile.Account{Provider: jobfile.Office365, Rate: jobfile.Rate{N: 1800, Per: hour}, Limits: []jobfile.Rate{{N: 5000, Per: day, Recipients: true}}}, "warn may use up all that the provider takes (30/minute)"},
		"at the day's":    {jobfile.Account{Provider: jobfile.Gmail, Rate: jobfile.Rate{N: 300, Per: hour}, Limits: []jobfile.Rate{{N: 2000, Per: day}, {N: 2500, Per: day, Recipients: true}}}, "warn (2000/day)"},
		"above the minute's": {jobfile.Account{Provider: jobfile.Office365, Rate: jobfile.Rate{N: 3000, Per: hour}, Limits: []jobfile.Rate{{N: 60, Per: minute}, {N: 100, Per: day, Recipients: true}}},
			"fail more than the provider takes: 50/minute, where it takes 30/minute"},
		"above, by nothing stated": {jobfile.Account{Provider: jobfile.Gmail, Username: "eva@gmail.com", Rate: jobfile.Rate{Unlimited: true}}, "fail 501/day, where it takes 500/day"},
		"connections":              {jobfile.Account{Provider: jobfile.Office365, Connections: 4, Rate: jobfile.Rate{N: 100, Per: hour}}, "fail 4 connections at once, where it takes 3"},
		"size":                     {jobfile.Account{Provider: jobfile.Yahoo, MaxSize: 30_000_000, Rate: jobfile.Rate{N: 10, Per: hour}}, "fail mails of 30000000 octets"},
		"raised on request":        {jobfile.Account{Provider: jobfile.SES, Rate: jobfile.Rate{N: 3000, Per: hour}}, "warn more than the provider takes from a new account"},
		"not known":                {jobfile.Account{Provider: jobfile.Other, Rate: jobfile.Rate{N: 3000, Per: hour}}, "-"},
	} {
		a := &account{Account: &c.account}
		a.limits()
		wantFindings(t, what, a.found, "limits.rate "+c.want)
	}
}
