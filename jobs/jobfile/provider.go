package jobfile

import (
	"slices"
	"strings"
	"time"
)

// The providers that have a preset. Any other server is Other.
const (
	Gmail      = "gmail"       // an account of Google, by its own server
	GmailRelay = "gmail-relay" // the relay of Google Workspace
	Office365  = "office365"   // Microsoft 365
	Exchange   = "exchange"    // an Exchange server on premises
	Yahoo      = "yahoo"
	SES        = "ses" // Amazon SES
	Other      = "other"
)

// FromRule is what a provider makes of a sender's address that is not the account's own.
type FromRule int

const (
	FromAny       FromRule = iota // it stays
	FromRewritten                 // the account's own address takes its place, unless it was made an alias there
	FromRefused                   // the mail is refused, unless the account was given the right to it there
)

// Provider is what is known of a provider, and in force where an account states nothing else. What is zero or empty is
// not known, or differs from server to server.
type Provider struct {
	Name       string
	Host       string
	Port       int
	Encryption string
	Auth       string // with a password

	Limits      []Rate // beyond them: by the minute it delays mail, by the day it refuses mail
	Internal    int    // recipients a day, with those inside of the organisation; Limits has those outside. 0: it makes no difference
	Raised      bool   // Limits are those of a new account, and are raised on request
	MaxSize     int64  // octets
	Connections int    // at once

	SPFInclude string   // what an SPF record of the sender's domain must include
	Selectors  []string // under which it publishes its DKIM keys
	From       FromRule

	needsLogin  bool   // it takes mail from nobody else
	hostExample string // where each server has a host of its own

	PasswordEnds time.Time // the last day of sign-in by password, unless an administrator prolongs it; zero: it stays
	OAuth        OAuthEndpoints
}

// OAuthEndpoints are where a provider signs people in. Without Device it grants no mail by device code.
type OAuthEndpoints struct {
	Device, Authorize, Token string
	Scopes                   []string
}

// Preset returns what is known of the account's provider, for its username.
func (a *Account) Preset() Provider {
	p := presetOf(a.Provider)
	if a.Provider == Gmail && isConsumerGmail(a.Username) {
		p.Limits, p.Internal = []Rate{{N: 500, Per: day}}, 0
	}
	if a.Provider == Office365 {
		tenant := "organizations"
		if a.OAuth != nil && a.OAuth.Tenant != "" {
			tenant = a.OAuth.Tenant
		}
		p.OAuth = microsoft(tenant)
	}
	return p
}

// portFor returns the port for an encryption: the provider's own where it is the provider's encryption.
func (p Provider) portFor(encryption string) int {
	if p.Port != 0 && encryption == p.Encryption {
		return p.Port
	}
	return map[string]int{StartTLS: 587, TLS: 465, None: 25}[encryption]
}

func isConsumerGmail(username string) bool {
	_, domain, _ := strings.Cut(strings.ToLower(username), "@")
	return slices.Contains([]string{"gmail.com", "googlemail.com"}, domain)
}

// presetOf has the figures that the providers publish.
func presetOf(name string) Provider {
	google := OAuthEndpoints{Authorize: "https://accounts.google.com/o/oauth2/v2/auth", Token: "https://oauth2.googleapis.com/token", Scopes: []string{"https://mail.google.com/"}}
	switch name {
	case Gmail:
		return Provider{Name: name, Host: "smtp.gmail.com", Port: 587, Encryption: StartTLS, Auth: Auto,
			Limits: []Rate{{N: 2000, Per: day}, {N: 3000, Per: day, Recipients: true}}, Internal: 10000, MaxSize: 25_000_000,
			SPFInclude: "_spf.google.com", Selectors: []string{"google"}, From: FromRewritten, needsLogin: true, OAuth: google}
	case GmailRelay:
		return Provider{Name: name, Host: "smtp-relay.gmail.com", Port: 587, Encryption: StartTLS, Auth: Auto,
			Limits: []Rate{{N: 10000, Per: day, Recipients: true}}, MaxSize: 25_000_000,
			SPFInclude: "_spf.google.com", Selectors: []string{"google"}, From: FromAny, OAuth: google}
	case Office365:
		return Provider{Name: name, Host: "smtp.office365.com", Port: 587, Encryption: StartTLS, Auth: Auto,
			Limits: []Rate{{N: 30, Per: time.Minute}, {N: 10000, Per: day, Recipients: true}}, MaxSize: 36_700_160, Connections: 3,
			SPFInclude: "spf.protection.outlook.com", Selectors: []string{"selector1", "selector2"}, From: FromRefused, needsLogin: true,
			PasswordEnds: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}
	case Exchange:
		return Provider{Name: name, Port: 587, Encryption: StartTLS, Auth: Auto, From: FromRefused}
	case Yahoo:
		return Provider{Name: name, Host: "smtp.mail.yahoo.com", Port: 465, Encryption: TLS, Auth: Auto,
			Limits: []Rate{{N: 500, Per: day}}, MaxSize: 25_000_000, From: FromRefused, needsLogin: true}
	case SES:
		return Provider{Name: name, Port: 587, Encryption: StartTLS, Auth: Auto,
			Limits: []Rate{{N: 60, Per: time.Minute}, {N: 200, Per: day}}, Raised: true, SPFInclude: "amazonses.com", From: FromRefused, needsLogin: true, hostExample: "email-smtp.eu-central-1.amazonaws.com"}
	}
	return Provider{Name: Other, Encryption: StartTLS, Auth: Auto}
}

// microsoft returns where Microsoft signs in the people of a tenant.
func microsoft(tenant string) OAuthEndpoints {
	base := "https://login.microsoftonline.com/" + tenant + "/oauth2/v2.0/"
	return OAuthEndpoints{Device: base + "devicecode", Authorize: base + "authorize", Token: base + "token",
		Scopes: []string{"https://outlook.office.com/SMTP.Send", "offline_access"}}
}
