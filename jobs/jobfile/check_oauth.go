package jobfile

import (
	"cmp"
	"net/url"
	"regexp"
	"strings"
)

// oauth checks how an account signs in, and completes it from its provider.
func (c *checker) oauth(path string, a *Account) {
	o := a.OAuth
	if o == nil || !c.main.has(path) {
		return
	}
	c.secret(c.main, path+".client_secret", &o.ClientSecret)
	tenant := path + ".tenant"
	switch {
	case c.main.has(tenant) && a.Provider != Office365:
		c.main.wrong(tenant, o.Tenant, "is of office365 only", "remove it")
	case c.main.has(tenant) && !tenantForm.MatchString(o.Tenant):
		c.main.wrong(tenant, o.Tenant, "is no tenant", "the number (GUID) of the organisation, or one of its domains")
		return
	case a.Provider == Office365:
		o.Tenant = cmp.Or(o.Tenant, "organizations")
	}
	c.checkURL(path+".device_url", o.DeviceURL)
	c.checkURL(path+".authorize_url", o.AuthorizeURL)
	c.checkURL(path+".token_url", o.TokenURL)
	endpoints(o, a.Preset().OAuth)
	if o.TokenURL == "" && !c.main.written(path+".token_url") {
		c.main.wrong(path+".token_url", "", "is missing", "provider "+a.Provider+" has none of its own; for example token_url: https://login.acme.example/token")
	}
	if o.DeviceURL == "" && o.AuthorizeURL == "" && !c.main.written(path+".device_url") && !c.main.written(path+".authorize_url") {
		c.main.wrong(path+".device_url", "", "is missing", "provider "+a.Provider+" has none of its own; state device_url or authorize_url")
	}
	if c.main.has(path+".secret_expires") && !c.main.written(path+".client_secret") {
		c.main.wrong(path+".secret_expires", "", "without client_secret", "remove it, or add client_secret")
	}
}

var tenantForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$`)

// checkURL reports an address to which secrets must not go.
func (c *checker) checkURL(path, text string) {
	if !c.main.has(path) {
		return
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(strings.ToLower(u.Hostname()))) {
		c.main.wrong(path, text, "is no address that a secret may be sent to", "https://HOST/PATH; http is for loopback only")
	}
}

// endpoints puts the provider's addresses and scopes where the file states none.
func endpoints(o *OAuth, p OAuthEndpoints) {
	if o.DeviceURL == "" && o.AuthorizeURL == "" {
		o.DeviceURL, o.AuthorizeURL = p.Device, p.Authorize
	}
	if o.TokenURL == "" {
		o.TokenURL = p.Token
	}
	if len(o.Scopes) == 0 {
		o.Scopes = p.Scopes
	}
}
