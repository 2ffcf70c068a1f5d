package jobfile

import (
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// loadAccount loads a file with one further account, a, with these keys.
func loadAccount(t *testing.T, keys string) (*Account, Problems) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jobs.yaml")
	write(t, file, strings.Replace(shortest(t), "accounts: {", "accounts: {a: {"+keys+", rate: 300/hour}, ", 1))
	f, problems := Load(file)
	if f == nil {
		t.Fatalf("%s: %v", keys, problems)
	}
	return f.Account("a"), problems
}

// TestPresets: what a provider's name alone brings, as mail/limits.tsv and the providers' own pages have it.
func TestPresets(t *testing.T) {
	const login = "username: a@acme.example, password: {file: p}, from: a@acme.example"
	for _, c := range []struct {
		keys, server, limits, auth, identity string
		connections                          int
		maxSize                              int64
	}{
		{"provider: gmail, " + login, "smtp.gmail.com:587 starttls", "[2000/day 3000 recipients/day]", Auto, "a@acme.example@smtp.gmail.com", 2, 25_000_000},
		{"provider: gmail, " + strings.ReplaceAll(login, "acme.example", "GMail.com"), "smtp.gmail.com:587 starttls", "[500/day]", Auto, "a@gmail.com@smtp.gmail.com", 2, 25_000_000},
		{"provider: gmail-relay, " + login, "smtp-relay.gmail.com:587 starttls", "[10000 recipients/day]", Auto, "a@acme.example@smtp-relay.gmail.com", 2, 25_000_000},
		{"provider: gmail-relay, from: a@acme.example", "smtp-relay.gmail.com:587 starttls", "[10000 recipients/day]", None, "smtp-relay.gmail.com:587", 2, 25_000_000},
		{"provider: office365, " + login, "smtp.office365.com:587 starttls", "[30/minute 10000 recipients/day]", Auto, "a@acme.example@smtp.office365.com", 3, 36_700_160},
		{"provider: exchange, host: mail.acme.example, " + login, "mail.acme.example:587 starttls", "[]", Auto, "a@acme.example@mail.acme.example", 2, 0},
		{"provider: yahoo, " + login, "smtp.mail.yahoo.com:465 tls", "[500/day]", Auto, "a@acme.example@smtp.mail.yahoo.com", 2, 25_000_000},
		{"provider: ses, host: email-smtp.eu-west-1.amazonaws.com, " + login, "email-smtp.eu-west-1.amazonaws.com:587 starttls", "[60/minute 200/day]", Auto, "a@acme.example@email-smtp.eu-west-1.amazonaws.com", 2, 0},
		{"host: relay, encryption: none, from: a@acme.example", "relay:25 none", "[]", None, "relay:25", 2, 0},
		{"host: relay, encryption: tls, from: a@acme.example", "relay:465 tls", "[]", None, "relay:465", 2, 0},
		// What is stated holds, window by window.
		{"provider: office365, limits: [20/minute, 400/day], " + login, "smtp.office365.com:587 starttls", "[20/minute 400/day 10000 recipients/day]", Auto, "a@acme.example@smtp.office365.com", 3, 36_700_160},
		{"provider: yahoo, encryption: starttls, max_size: 1MB, connections: 1, auth: plain, " + login, "smtp.mail.yahoo.com:587 starttls", "[500/day]", "plain", "a@acme.example@smtp.mail.yahoo.com", 1, 1_000_000},
		{"provider: gmail, host: 127.0.0.1, port: 2525, encryption: none, " + login, "127.0.0.1:2525 none", "[2000/day 3000 recipients/day]", Auto, "a@acme.example@127.0.0.1", 2, 25_000_000},
		{"provider: ses, host: h.example, limits: [50000/day, 600/minute], " + login, "h.example:587 starttls", "[50000/day 600/minute]", Auto, "a@acme.example@h.example", 2, 0},
	} {
		a, _ := loadAccount(t, c.keys)
		var limits []string
		for _, l := range a.Limits {
			limits = append(limits, l.String())
		}
		server := a.Host + ":" + strconv.Itoa(a.Port) + " " + a.Encryption
		if server != c.server || "["+strings.Join(limits, " ")+"]" != c.limits || a.Auth != c.auth || a.Identity() != c.identity || a.Connections != c.connections || a.MaxSize != c.maxSize {
			t.Errorf("%s: %s, limits %s, auth %s, %s, %d connections, %d octets", c.keys, server, limits, a.Auth, a.Identity(), a.Connections, a.MaxSize)
		}
	}
}

// TestIdentityWithAPreset: an account keeps its bucket when its provider takes the place of the host.
func TestIdentityWithAPreset(t *testing.T) {
	const login = "username: A@acme.example, password: {file: p}, from: a@acme.example"
	before, _ := loadAccount(t, "host: SMTP.gmail.com, "+login)
	after, _ := loadAccount(t, "provider: gmail, "+login)
	if before.Identity() != after.Identity() {
		t.Errorf("%s, then %s", before.Identity(), after.Identity())
	}
}

// TestPresetOfAnAccount: what check and login make use of.
func TestPresetOfAnAccount(t *testing.T) {
	for _, c := range []struct {
		provider, include string
		selectors         []string
		from              FromRule
	}{
		{Gmail, "_spf.google.com", []string{"google"}, FromRewritten},
		{GmailRelay, "_spf.google.com", []string{"google"}, FromAny},
		{Office365, "spf.protection.outlook.com", []string{"selector1", "selector2"}, FromRefused},
		{Exchange, "", nil, FromRefused},
		{Yahoo, "", nil, FromRefused},
		{SES, "amazonses.com", nil, FromRefused},
		{Other, "", nil, FromAny},
	} {
		p := (&Account{Provider: c.provider}).Preset()
		if p.Name != c.provider || p.SPFInclude != c.include || !slices.Equal(p.Selectors, c.selectors) || p.From != c.from || p.PasswordEnds.IsZero() == (c.provider == Office365) {
			t.Errorf("%+v", p)
		}
	}
	if end := (&Account{Provider: Office365}).Preset().PasswordEnds; !end.Equal(time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("passwords end %s", end)
	}
}

// TestOAuthOfAnAccount: what is not stated is the provider's.
func TestOAuthOfAnAccount(t *testing.T) {
	const who = "username: a@acme.example, from: a@acme.example, "
	a, problems := loadAccount(t, "provider: office365, "+who+"oauth: {client_id: id, secret_expires: 2027-11-30, client_secret: {env: S}}")
	if o := a.OAuth; len(problems) > 0 || a.Auth != XOAuth2 || o.Tenant != "organizations" || o.DeviceURL != "https://login.microsoftonline.com/organizations/oauth2/v2.0/devicecode" ||
		o.TokenURL != "https://login.microsoftonline.com/organizations/oauth2/v2.0/token" || !slices.Equal(o.Scopes, []string{"https://outlook.office.com/SMTP.Send", "offline_access"}) ||
		o.SecretExpires.Format(time.DateOnly) != "2027-11-30" || o.ClientSecret.Env != "S" {
		t.Errorf("%+v, %v", o, problems)
	}
	a, _ = loadAccount(t, "provider: office365, "+who+"oauth: {client_id: id, tenant: acme.example, token_url: \"http://127.0.0.1:99/t\"}")
	if o := a.OAuth; o.DeviceURL != "https://login.microsoftonline.com/acme.example/oauth2/v2.0/devicecode" || o.TokenURL != "http://127.0.0.1:99/t" {
		t.Errorf("%+v", o)
	}
	a, _ = loadAccount(t, "provider: gmail, "+who+"oauth: {client_id: id, client_secret: {file: s}}")
	if o := a.OAuth; o.DeviceURL != "" || o.AuthorizeURL != "https://accounts.google.com/o/oauth2/v2/auth" || o.TokenURL != "https://oauth2.googleapis.com/token" || !slices.Equal(o.Scopes, []string{"https://mail.google.com/"}) ||
		filepath.Base(o.ClientSecret.File) != "s" || !filepath.IsAbs(o.ClientSecret.File) {
		t.Errorf("%+v", o)
	}
	a, problems = loadAccount(t, "host: h.example, "+who+"oauth: {client_id: id, device_url: \"https://h.example/d\", token_url: \"https://h.example/t\", scopes: [smtp]}")
	if o := a.OAuth; len(problems) > 0 || o.AuthorizeURL != "" || o.Tenant != "" || !slices.Equal(o.Scopes, []string{"smtp"}) {
		t.Errorf("%+v, %v", o, problems)
	}
}
