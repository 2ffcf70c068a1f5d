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

// wantsLogin tells whether the account logs in at all.
func (d *dialing) wantsLogin() bool { return d.config.Auth != AuthNone && d.config.Username != "" }

// mayLogIn refuses to log in over clear text before anything is said, but for a server on this computer.
func (d *dialing) mayLogIn() *Error {
	if !d.wantsLogin() || d.config.Encryption != None || isLoopback(d.wire.raw.RemoteAddr()) {
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
	if !d.wantsLogin() {
		return nil
	}
	if strings.Contains(d.config.Username+d.config.Password, "\x00") {
		return configError(mail.StepAuth, "username or password holds a NUL", "Correct the account's login.")
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
		return replyError(mail.StepAuth, reply)
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

func (d *dialing) challenge(line string) (rawReply, error) {
	return d.wire.ask(line, 3, d.timeouts.Command)
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// scrub takes the password out of a reply that repeats what it was sent. One of less than four octets is no
// secret and would only tear up the reply's words.
func (d *dialing) scrub(text string) string {
	user, password := d.config.Username, d.config.Password
	for _, secret := range []string{encode("\x00" + user + "\x00" + password), encode(password), password} {
		if len(secret) >= 4 {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}
