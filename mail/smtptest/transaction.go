package smtptest

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func (c *conn) doMail(arg string) error {
	var number int
	c.s.records.change(func() {
		c.s.records.counts.Transactions++
		number = c.s.records.counts.Transactions
		if !c.secure {
			c.s.records.counts.MailInClear++
		}
	})
	if c.inMail {
		return c.write("503 5.5.1 nested MAIL")
	}
	c.transaction = number
	from, params, ok := parsePath(arg, "FROM:")
	c.from = from
	yes, err := c.answer(StepMail, c.judgeMail(params, ok))
	if yes {
		c.inMail, c.params = true, params
	} else {
		c.from = ""
	}
	return err
}

// judgeMail returns the usual reply to MAIL.
func (c *conn) judgeMail(params string, wellFormed bool) string {
	o := &c.s.opts
	switch {
	case !wellFormed:
		return "501 5.5.4 syntax"
	case o.requireTLS && !c.secure:
		return "530 5.7.0 STARTTLS first"
	case o.requireAuth && c.user == "":
		return "530 5.7.0 authentication required"
	}
	for p := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(strings.ToUpper(p), "=")
		switch {
		case name == "SIZE" && !o.without["SIZE"]:
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return "501 5.5.4 SIZE"
			}
			if o.maxSize > 0 && n > o.maxSize {
				return "552 5.3.4 message too big"
			}
		case name == "BODY" && !o.without["8BITMIME"]:
		case name == "SMTPUTF8" && !o.without["SMTPUTF8"]:
		case name == "RET" && o.dsn && (value == "FULL" || value == "HDRS"):
		case name == "ENVID" && o.dsn && value != "" && len(value) <= 100:
		default:
			return "555 5.5.4 unknown parameter " + name
		}
	}
	return "250 2.1.0 sender ok"
}

func (c *conn) doRcpt(arg string) error {
	to, params, ok := parsePath(arg, "TO:")
	switch {
	case !c.inMail:
		return c.write("503 5.5.1 MAIL first")
	case !ok || to == "":
		return c.write("501 5.5.4 syntax")
	case !c.takesRcpt(params):
		return c.write("555 5.5.4 unknown parameter")
	}
	reply := "250 2.1.5 recipient ok"
	m := c.moment(StepRcpt)
	m.To = []string{to}
	yes, err := true, error(nil)
	if a, scripted := c.s.script.take(m); scripted {
		yes, err = c.act(StepRcpt, a, reply)
	} else {
		err = c.write(reply)
	}
	if yes {
		c.to, c.toParams = append(c.to, to), append(c.toParams, params)
	}
	return err
}

// takesRcpt tells whether the parameters of RCPT are on offer.
func (c *conn) takesRcpt(params string) bool {
	for p := range strings.FieldsSeq(params) {
		name, value, _ := strings.Cut(strings.ToUpper(p), "=")
		switch {
		case !c.s.opts.dsn || value == "":
			return false
		case name == "ORCPT":
		case name == "NOTIFY" && value == "NEVER":
		case name == "NOTIFY":
			for when := range strings.SplitSeq(value, ",") {
				if when != "SUCCESS" && when != "FAILURE" && when != "DELAY" {
					return false
				}
			}
		default:
			return false
		}
	}
	return true
}

func (c *conn) doData() error {
	if len(c.to) == 0 {
		return c.write("503 5.5.1 RCPT first")
	}
	reply := "354 go ahead"
	a, scripted := c.s.script.take(c.moment(StepData))
	if scripted {
		if err := c.hold(a.Wait); err != nil {
			return err
		}
		a.Wait = nil
	}
	began := time.Now()
	yes := strings.HasPrefix(a.Write, "3") || a.Write == "" && a.End == Continue
	if yes {
		c.s.records.dataBegan(c.to, began) // before the reply: whoever has read the 354 finds it here
	}
	if _, err := c.act(StepData, a, reply); err != nil || !yes {
		return err
	}
	b := body{conn: c, began: began}
	if err := b.read(); err != nil {
		return err
	}
	return c.finish(&b)
}

// finish answers the final dot.
func (c *conn) finish(b *body) error {
	defer c.endTransaction()
	if b.refused {
		return nil // the reply went out in the middle of the content
	}
	reply := "250 2.0.0 queued"
	if limit := c.s.opts.maxSize; limit > 0 && int64(b.size) > limit {
		reply = "552 5.3.4 message too big"
	}
	a, _ := c.s.script.take(c.moment(StepDot))
	if a.Accept {
		c.record(b)
	}
	if err := c.hold(a.Wait); err != nil {
		return err
	}
	a.Wait = nil
	usual := a.Write == "" && a.End == Continue
	if !a.Accept && (strings.HasPrefix(a.Write, "2") || usual && positive(reply)) {
		c.record(b)
	}
	_, err := c.act(StepDot, a, reply)
	return err
}

// record notes the message before its reply is written: whoever has read the 250 finds it here.
func (c *conn) record(b *body) {
	m := Message{
		From: c.from, To: c.to, Params: c.params, ToParams: c.toParams, MessageID: b.id, Data: b.data, Size: b.size, Malformed: b.malformed,
		Time: time.Now(), Conn: c.number, TLS: c.secure, User: c.user, Hello: c.hello,
	}
	c.s.records.accepted(m)
	if c.s.opts.onMessage != nil {
		c.s.opts.onMessage(m)
	}
}

// parsePath splits "FROM:<a@b> SIZE=1" into the address and the parameters (RFC 5321 4.1.2).
func parsePath(arg, prefix string) (address, params string, ok bool) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(arg[len(prefix):], " "), "<")
	if !ok {
		return "", "", false
	}
	address, params, ok = strings.Cut(rest, ">")
	if !ok || strings.ContainsAny(address, "<\x00") || (params != "" && params[0] != ' ') {
		return "", "", false
	}
	return address, strings.TrimSpace(params), true
}

// body reads the content of one message up to the final dot.
type body struct {
	conn      *conn
	began     time.Time
	id        string
	data      []byte
	size      int
	malformed string
	refused   bool // the script has answered in the middle

	acted     bool
	pastHead  bool
	idFolded  bool // the Message-ID's value stands on the next line
	lineStart bool
}

func (b *body) read() error {
	c := b.conn
	fault, scripted := c.s.script.take(c.moment(StepBody))
	b.lineStart = true
	for {
		if scripted && !b.acted && b.size >= fault.After {
			if err := b.act(fault); err != nil {
				return err
			}
		}
		chunk, err := c.r.ReadSlice('\n')
		if len(chunk) > 0 && b.size == 0 {
			c.s.records.change(func() { c.s.records.counts.Body++ })
		}
		complete := err == nil
		if err != nil && len(chunk) < maxLine {
			return err
		}
		if b.lineStart && bytes.Equal(chunk, []byte(".\r\n")) {
			if scripted && !b.acted {
				return b.act(fault)
			}
			return nil
		}
		b.add(chunk, complete)
		b.lineStart = bytes.HasSuffix(chunk, []byte("\r\n"))
	}
}

// act plays a StepBody action; what it answers is the reply to the whole content.
func (b *body) act(a Action) error {
	b.acted = true
	_, err := b.conn.act(StepBody, a, "")
	b.refused = a.Write != ""
	return err
}

// add takes one line, or a part of a very long one.
func (b *body) add(chunk []byte, complete bool) {
	if b.lineStart && len(chunk) > 1 && chunk[0] == '.' {
		chunk = chunk[1:]
	}
	b.size += len(chunk)
	if o := &b.conn.s.opts; o.noRecords && o.onMessage == nil {
		return
	}
	b.header(chunk)
	b.check(chunk, complete)
	if o := &b.conn.s.opts; !o.noMessages || o.onMessage != nil {
		b.data = append(b.data, chunk...)
	}
}

// header looks for the Message-ID.
func (b *body) header(line []byte) {
	if b.pastHead || !b.lineStart {
		return
	}
	text := strings.TrimRight(string(line), "\r\n")
	name, value, ok := strings.Cut(text, ":")
	switch {
	case text == "":
		b.pastHead = true
		return
	case b.idFolded:
		value = text
	case !ok || !strings.EqualFold(name, "Message-ID") || b.id != "":
		return
	}
	b.id = strings.TrimSpace(value)
	b.idFolded = b.id == ""
	b.conn.s.records.idSeen(b.id, b.began)
}

func (b *body) check(chunk []byte, complete bool) {
	text := bytes.TrimSuffix(chunk, []byte("\r\n"))
	switch {
	case b.malformed != "":
	case bytes.ContainsAny(text, "\r\n"):
		b.malformed = "bare CR or LF"
	case bytes.IndexByte(text, 0) >= 0:
		b.malformed = "NUL"
	case len(text) > 998 || !complete:
		b.malformed = "line over 998 octets"
	}
}
