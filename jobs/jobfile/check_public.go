package jobfile

import (
	"net"
	"net/url"
	"strconv"
	"strings"
)

// checkPublic checks where people reach outboxd with a browser.
func (c *checker) checkPublic() {
	if c.Public == nil || !c.main.has("public") {
		return
	}
	if at := "public.listen"; c.main.has(at) {
		host, port, err := net.SplitHostPort(c.Public.Listen)
		n, numberErr := strconv.Atoi(port)
		if host != "" && err == nil {
			_, err = parseHost(host)
		}
		switch {
		case err != nil || numberErr != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port:
			c.main.wrong(at, c.Public.Listen, "is no address with a port", "for example 127.0.0.1:8426, or [::1]:8426")
		case !isLoopback(strings.ToLower(host)):
			c.main.warn(at, c.Public.Listen, "is reached from other computers without encryption", "127.0.0.1:8426, with a web server before it that has the certificate")
		}
	}
	c.publicURL("public.url")
}

func (c *checker) publicURL(at string) {
	if !c.main.has(at) {
		return
	}
	const hint = "for example https://mail.acme.example"
	u, err := url.Parse(c.Public.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		c.main.wrong(at, c.Public.URL, "is no URL", hint)
	case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		c.main.wrong(at, "", "is more than scheme and host: the pages stand at /approve/ of it", hint)
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(strings.ToLower(u.Hostname()))):
		c.main.wrong(at, c.Public.URL, "is without encryption, and its links approve mailings", "https; http only for this computer itself, http://localhost:8426")
	default:
		if _, err := parseHost(u.Hostname()); err != nil {
			c.main.wrong(at, c.Public.URL, "has a host that cannot be one", hint)
		}
		c.Public.URL = strings.TrimRight(c.Public.URL, "/")
	}
}
