package jobfile

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Account is an SMTP account and what its provider allows. Once checked, it has what its provider's preset says
// wherever the file says nothing.
type Account struct {
	Name            string
	Provider        string       `key:"provider" oneof:"gmail|gmail-relay|office365|exchange|yahoo|ses|other" default:"other" doc:"Who runs the account: gives what is known of the provider where nothing else is stated. exchange is a server on premises; other means: as stated here." eg:"provider: gmail"`
	Host            string       `key:"host" is:"host" otherwise:"the provider's; required for exchange, ses and other" doc:"SMTP server: host name or IP address." eg:"host: smtp.acme.example"`
	Port            int          `key:"port" range:"1..65535" otherwise:"the provider's; else 587 for starttls, 465 for tls, 25 for none" is:"port" doc:"TCP port." eg:"port: 587"`
	Encryption      string       `key:"encryption" oneof:"starttls|tls|none" otherwise:"the provider's; else starttls" doc:"How the connection is secured. Nothing falls back: without the stated encryption nothing is sent. With a username, none is only for loopback." eg:"encryption: starttls"`
	CA              string       `key:"ca" is:"path" otherwise:"the system's" doc:"File with the certificate authorities to trust, PEM." eg:"ca: relay-ca.pem"`
	Auth            string       `key:"auth" oneof:"auto|plain|login|cram-md5|xoauth2|none" otherwise:"xoauth2 with oauth; else auto; none without a username" doc:"How to log in. auto takes the best that the server offers." eg:"auth: auto"`
	Username        string       `key:"username" otherwise:"no login" doc:"User to log in as; with password or oauth." eg:"username: invoices@acme.example"`
	Password        Secret       `key:"password" is:"secret" otherwise:"none" doc:"Its password; with username." eg:"password: {file: secrets/invoices}"`
	OAuth           *OAuth       `key:"oauth" otherwise:"none" doc:"Signing in with OAuth 2.0 in place of a password; with username. outboxd account login signs in." eg:"oauth: {client_id: 11111111-2222-3333-4444-555555555555}"`
	From            string       `key:"from" required:"yes" is:"address" doc:"The sender where a row names none." eg:"from: Acme invoices <invoices@acme.example>"`
	ReplyTo         string       `key:"reply_to" is:"address" otherwise:"none" doc:"Where answers go where a row says nothing." eg:"reply_to: accounts@acme.example"`
	ReturnPath      string       `key:"return_path" is:"bare address" otherwise:"the sender" doc:"The envelope sender, to which bounces go, where the provider allows another than the sender." eg:"return_path: bounces@acme.example"`
	Companies       []string     `key:"companies" is:"list of company names" otherwise:"all" doc:"The companies that may use this account." eg:"companies: [acme]"`
	SenderDomains   []string     `key:"sender_domains" is:"list of domains" otherwise:"any" doc:"The domains that a sender's address may have. A subdomain is a domain of its own." eg:"sender_domains: [acme.example]"`
	SenderAddresses []string     `key:"sender_addresses" is:"list of bare addresses" otherwise:"any" doc:"A person's own account: it sends the mails of these senders and no others." eg:"sender_addresses: [eva@acme.example]"`
	Rate            Rate         `key:"rate" required:"yes" is:"mails an hour" doc:"Mails in any hour, evenly paced: 100/hour to 3000/hour. Anything else, or unlimited, needs own_relay." eg:"rate: 1200/hour"`
	Limits          []Rate       `key:"limits" is:"list of limits" otherwise:"the provider's" doc:"Further windows: mails or recipients in any minute or day, recipients in any hour. Each window once; one that is not stated is the provider's." eg:"limits: [30/minute, 10000 recipients/day]"`
	PerDomain       []DomainRate `key:"per_domain" is:"domains, each with mails a minute, hour or day" otherwise:"no limit but the account's" doc:"How many mails go to recipients of a domain, on top of rate and limits. \"*\" is each other domain for itself." eg:"per_domain: {gmail.com: 300/hour, \"*\": 1000/hour}"`
	Window          *Window      `key:"window" is:"sending window" otherwise:"always" doc:"When it sends, by the clocks of the company whose mail it is; not on the company's holidays. The system's own mail goes at any time." eg:"window: Mon-Fri 07:00-20:00"`
	Warmup          *Warmup      `key:"warmup" otherwise:"none" doc:"How a new account begins: the mails of an hour grow day by day to rate." eg:"warmup: {start: 100/hour, days: 14}"`
	OwnRelay        bool         `key:"own_relay" default:"false" doc:"The host is your own mail server, and its reputation your own matter: any rate is taken. Only with provider other or exchange." eg:"own_relay: true"`
	Connections     int          `key:"connections" otherwise:"the provider's; else 2" range:"1..100" doc:"Connections open at once, of each daemon." eg:"connections: 2"`
	MaxSize         int64        `key:"max_size" range:"64KB..1GB" otherwise:"the provider's; else what the server announces" is:"size" doc:"Largest mail to send, as it travels." eg:"max_size: 25MB"` // octets; 0: not stated
	SPFInclude      string       `key:"spf_include" is:"domain" otherwise:"the provider's" doc:"What the SPF record of a sender's domain must include, where the provider is other or exchange: check --online looks for it." eg:"spf_include: relay.example"`
	Overflow        bool         `key:"overflow" oneof:"yes|no" default:"no" doc:"yes: while this account is down or out of budget, mails that name no account go by the company's next account that is able and may send as the same sender." eg:"overflow: yes"`
	Active          bool         `key:"active" default:"true" doc:"false: nothing is sent by this account." eg:"active: true"`
}

// OAuth is how an account signs in with OAuth 2.0. Once checked, it has its provider's addresses and scopes where the file
// states none.
type OAuth struct {
	ClientID      string    `key:"client_id" required:"yes" doc:"The application that was registered at the provider for outboxd." eg:"client_id: 11111111-2222-3333-4444-555555555555"`
	ClientSecret  Secret    `key:"client_secret" is:"secret" otherwise:"none" doc:"Its secret, where the provider wants one." eg:"client_secret: {file: secrets/oauth}"`
	SecretExpires time.Time `key:"secret_expires" is:"date" otherwise:"not known" doc:"When that secret ends. A person is told before." eg:"secret_expires: 2027-11-30"`
	Tenant        string    `key:"tenant" otherwise:"organizations" doc:"office365: the organisation, by its number or a domain of its." eg:"tenant: acme.example"`
	DeviceURL     string    `key:"device_url" is:"URL" otherwise:"the provider's" doc:"Where a sign-in by device code begins (RFC 8628). https, or http on loopback." eg:"device_url: https://login.acme.example/device"`
	AuthorizeURL  string    `key:"authorize_url" is:"URL" otherwise:"the provider's" doc:"Where a person consents in a browser. https, or http on loopback." eg:"authorize_url: https://login.acme.example/authorize"`
	TokenURL      string    `key:"token_url" is:"URL" otherwise:"the provider's" doc:"Where tokens are fetched and renewed. https, or http on loopback." eg:"token_url: https://login.acme.example/token"`
	Scopes        []string  `key:"scopes" is:"list of scopes" otherwise:"the provider's" doc:"What is asked for." eg:"scopes: [smtp, offline_access]"`
}

// DomainRate limits what goes to recipients of one domain.
type DomainRate struct {
	Name string // the domain, in lower case and A-labels; "*": every domain that has no entry, each for itself
	Rate Rate   // mails; Unlimited exempts a domain from "*"
}

// Warmup is how a new account begins.
type Warmup struct {
	Start Rate `key:"start" required:"yes" is:"mails an hour" doc:"How many mails an hour on the first day." eg:"start: 100/hour"`
	Days  int  `key:"days" required:"yes" range:"1..365" doc:"After how many days the account sends at its rate." eg:"days: 14"`
}

// Identity names the account as its provider knows it: user and host, or host and port where nobody logs in. Two entries
// with one identity share one allowance.
func (a *Account) Identity() string {
	host := strings.ToLower(a.Host)
	if a.Username == "" {
		return net.JoinHostPort(host, strconv.Itoa(a.Port))
	}
	return strings.ToLower(a.Username) + "@" + host
}

// General tells whether it is the general account, which every company may use and which carries the system's own mail.
func (a *Account) General() bool { return a.Name == GeneralAccount }

// Serves tells whether the company may use the account, active or not.
func (a *Account) Serves(company string) bool {
	return len(a.Companies) == 0 || slices.Contains(a.Companies, company)
}
