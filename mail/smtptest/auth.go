package smtptest

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// errCancelled is an exchange that the client gave up with "*" (RFC 4954 4).
var errCancelled = errors.New("exchange cancelled")

const cramChallenge = "<1896.697170952@localhost>"

func (c *conn) doAuth(arg string) error {
	mechanism, initial, _ := strings.Cut(arg, " ")
	mechanism = strings.ToUpper(mechanism)
	if !c.secure {
		c.s.records.change(func() { c.s.records.counts.PasswordInClear++ })
	}
	switch {
	case c.s.opts.requireTLS && !c.secure:
		return c.write("530 5.7.0 STARTTLS first")
	case c.user != "" || c.inMail:
		return c.write("503 5.5.1 not now")
	case !c.s.opts.logsIn() || !slices.Contains(c.s.opts.mechanisms, mechanism):
		return c.write("504 5.5.4 no such mechanism")
	}
	if a, ok := c.s.script.take(c.moment(StepAuth)); ok {
		usual := a.Write == "" && a.End == Continue // only a wait, then the exchange
		if _, err := c.act(StepAuth, a, ""); err != nil || !usual {
			return err
		}
	}
	user, ok, err := c.exchange(mechanism, initial)
	switch {
	case errors.Is(err, errCancelled):
		return c.write("501 5.7.0 cancelled")
	case err != nil:
		return err
	}
	c.s.records.login(Login{User: user, Mechanism: mechanism, OK: ok, TLS: c.secure, Time: time.Now(), Conn: c.number})
	if !ok {
		return c.write("535 5.7.8 authentication credentials invalid")
	}
	c.user = user
	return c.write("235 2.7.0 welcome")
}

// exchange asks for the credentials and checks them.
func (c *conn) exchange(mechanism, initial string) (user string, ok bool, err error) {
	switch mechanism {
	case "PLAIN": // RFC 4616
		text, err := c.response("", initial)
		if err != nil {
			return "", false, err
		}
		parts := strings.Split(text, "\x00")
		if len(parts) != 3 {
			return "", false, nil
		}
		return parts[1], c.knows(parts[1], parts[2]), nil
	case "LOGIN":
		user, err := c.response(c.s.opts.prompts[0], initial)
		if err != nil {
			return "", false, err
		}
		password, err := c.response(c.s.opts.prompts[1], "")
		return user, c.knows(user, password), err
	case "CRAM-MD5": // RFC 2195
		text, err := c.response(cramChallenge, "")
		if err != nil {
			return "", false, err
		}
		user, digest, _ := strings.Cut(text, " ")
		password, known := c.s.opts.users[user]
		mac := hmac.New(md5.New, []byte(password))
		mac.Write([]byte(cramChallenge))
		return user, known && digest == hex.EncodeToString(mac.Sum(nil)), nil
	case "XOAUTH2":
		return c.exchangeToken(initial)
	}
	return "", false, nil
}

// tokenChallenge is what Google's server says about a token that is not good.
const tokenChallenge = `{"status":"401","schemes":"Bearer","scope":"https://mail.example/"}`

// exchangeToken checks a token; without Tokens it is the user's password. One that is not good is told in a challenge first.
func (c *conn) exchangeToken(initial string) (user string, ok bool, err error) {
	text, err := c.response("", initial)
	if err != nil {
		return "", false, err
	}
	user, token, found := strings.Cut(strings.TrimSuffix(text, "\x01\x01"), "\x01auth=Bearer ")
	user, named := strings.CutPrefix(user, "user=")
	good := c.knows
	if c.s.opts.tokens != nil {
		good = c.s.opts.tokens
	}
	if found && named && good(user, token) {
		return user, true, nil
	}
	if err := c.write("334 " + base64.StdEncoding.EncodeToString([]byte(tokenChallenge))); err != nil {
		return "", false, err
	}
	_, err = c.readLine()
	return user, false, err
}

func (c *conn) knows(user, password string) bool {
	want, known := c.s.opts.users[user]
	return known && want == password
}

// response takes the initial response, or asks with a 334 challenge; either is base64.
func (c *conn) response(challenge, initial string) (string, error) {
	if initial == "" {
		if err := c.write("334 " + base64.StdEncoding.EncodeToString([]byte(challenge))); err != nil {
			return "", err
		}
		line, err := c.readLine()
		if err != nil {
			return "", err
		}
		initial = line
	}
	if initial == "*" {
		return "", errCancelled
	}
	text, err := base64.StdEncoding.DecodeString(initial)
	if err != nil {
		return "", errCancelled
	}
	return string(text), nil
}
