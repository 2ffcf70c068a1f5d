package smtpout

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"outboxd/mail"
)

// codeLoginRefused is the reply to credentials that are not valid (RFC 4954 6).
const codeLoginRefused = 535

const (
	// maxAuthLine is how long an AUTH command with its first response may be (RFC 4954 4 refers to RFC 5321 4.5.3.1.4); a longer
	// response is sent when the server has asked for it.
	maxAuthLine = 512 - len("\r\n")
	// maxResponse is how long a response may be (RFC 4954 4).
	maxResponse = 12288
)

// wantsLogin tells whether the account logs in at all.
func (c Config) wantsLogin() bool { return c.Auth != AuthNone && c.Username != "" }

// wantsToken tells whether the login is by a token.
func (c Config) wantsToken() bool { return c.wantsLogin() && c.Auth == AuthXOAuth2 && c.Token != nil }

// mayLogIn refuses to log in over clear text before anything is said, but for a server on this computer.
func (d *dialing) mayLogIn() *Error {
	if !d.config.wantsLogin() || d.config.Encryption != None || isLoopback(d.wire.raw.RemoteAddr()) {
		return nil
	}
	return configError(mail.StepAuth, "a login over an unencrypted connection was refused",
		"Set the account's encryption to starttls or tls, or leave out its username.")
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// logIn authenticates (RFC 4954) or fails: a login that was configured is never left out.
func (d *dialing) logIn() *Error {
	if !d.config.wantsLogin() {
		return nil
	}
	if err := d.credentials(); err != nil {
		return err
	}
	params, _ := extension(d.extensions, "AUTH")
	offered := strings.Fields(strings.ToUpper(params))
	d.mechanism = d.chooseMechanism(offered)
	if d.mechanism == "" {
		text := "the server offers no AUTH"
		if len(offered) > 0 {
			text = fmt.Sprintf("the server offers AUTH %s, not what auth: %s needs", strings.Join(offered, " "), d.config.Auth)
		}
		return configError(mail.StepAuth, text, "Check host, port, encryption and auth of the account: many servers offer a login only with encryption, or only on port 587.")
	}
	reply, err := d.exchange()
	if err != nil {
		if strange, ok := errors.AsType[*protocolError](err); ok {
			err = &protocolError{text: d.scrub(strange.text)}
		}
		return ioError(mail.StepAuth, err)
	}
	if reply.refused() {
		reply.text = d.scrub(reply.text)
		refused := replyError(mail.StepAuth, reply)
		if d.mechanism == "XOAUTH2" {
			refused.Outcome = mail.ByToken(refused.Outcome)
		}
		return refused
	}
	return nil
}

// credentials refuses what no mechanism could carry.
func (d *dialing) credentials() *Error {
	if strings.Contains(d.config.Username+d.config.Password, "\x00") {
		return configError(mail.StepAuth, "username or password holds a NUL", "Correct the account's login.")
	}
	if d.config.Auth != AuthXOAuth2 {
		return nil
	}
	switch {
	case d.token == "":
		return configError(mail.StepAuth, "there is no token to log in with", "Give the account the key oauth.")
	case strings.ContainsAny(d.config.Username+d.token, "\x00\x01"):
		return configError(mail.StepAuth, "username or token holds a control character", "Correct the account's username, or sign in again.")
	case len(d.bearer()) > maxResponse:
		return configError(mail.StepAuth, "the token is longer than a mail server takes", "Ask the provider for shorter tokens: fewer scopes, or fewer groups of the user in them.")
	}
	return nil
}

func (d *dialing) chooseMechanism(offered []string) string {
	wanted := []string{"PLAIN", "LOGIN", "CRAM-MD5"}
	switch d.config.Auth {
	case AuthPlain:
		wanted = wanted[:1]
	case AuthLogin:
		wanted = wanted[1:2]
	case AuthCramMD5:
		wanted = wanted[2:]
	case AuthXOAuth2:
		wanted = []string{"XOAUTH2"}
	}
	for _, m := range wanted {
		if slices.Contains(offered, m) {
			return m
		}
	}
	return ""
}

// exchange runs the mechanism and returns the last reply: 2xx, or a refusal.
func (d *dialing) exchange() (rawReply, error) {
	user, password := d.config.Username, d.config.Password
	switch d.mechanism {
	case "PLAIN": // RFC 4616
		return d.wire.ask("AUTH PLAIN "+encode("\x00"+user+"\x00"+password), 2, d.timeouts.Command)
	case "LOGIN":
		// By order and not by the words of the prompts, which differ between servers.
		if reply, err := d.challenge("AUTH LOGIN"); err != nil || reply.refused() {
			return reply, err
		}
		if reply, err := d.challenge(encode(user)); err != nil || reply.refused() {
			return reply, err
		}
		return d.wire.ask(encode(password), 2, d.timeouts.Command)
	case "XOAUTH2":
		return d.exchangeToken()
	}
	reply, err := d.challenge("AUTH CRAM-MD5") // RFC 2195
	if err != nil || reply.refused() {
		return reply, err
	}
	challenge, err := base64.StdEncoding.DecodeString(reply.text)
	if err != nil {
		return rawReply{}, protocolErrorf("CRAM-MD5 challenge is not base64: %.80q", reply.text)
	}
	mac := hmac.New(md5.New, []byte(password))
	mac.Write(challenge)
	return d.wire.ask(encode(user+" "+hex.EncodeToString(mac.Sum(nil))), 2, d.timeouts.Command)
}

// exchangeToken is the mechanism that Google has described and others have taken over. What is wrong with a token stands in a
// challenge, to which an empty response is due before the reply comes.
func (d *dialing) exchangeToken() (rawReply, error) {
	response := d.bearer()
	line := "AUTH XOAUTH2 " + response
	if len(line) > maxAuthLine {
		if reply, err := d.challenge("AUTH XOAUTH2"); err != nil || reply.refused() {
			return reply, err
		}
		line = response
	}
	if err := d.wire.send(line, d.timeouts.Command); err != nil {
		return rawReply{}, err
	}
	reply, err := d.wire.read(d.timeouts.Command)
	switch {
	case err != nil || reply.refused() || reply.code/100 == 2:
		return reply, err
	case reply.code/100 != 3:
		return rawReply{}, protocolErrorf("a reply that does not fit: %d %.80q", reply.code, reply.text)
	}
	return d.wire.ask("", 2, d.timeouts.Command)
}

// bearer is the response that carries the token.
func (d *dialing) bearer() string {
	return encode("user=" + d.config.Username + "\x01auth=Bearer " + d.token + "\x01\x01")
}

func (d *dialing) challenge(line string) (rawReply, error) {
	return d.wire.ask(line, 3, d.timeouts.Command)
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// scrub takes the password or token out of a reply that repeats what it was sent. One of less than four octets is no
// secret and would only tear up the reply's words.
func (d *dialing) scrub(text string) string {
	user, password := d.config.Username, d.config.Password
	for _, secret := range []string{encode("\x00" + user + "\x00" + password), encode(password), password, d.bearer(), encode(d.token), d.token} {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
