package smtpout

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"outboxd/mail"
)

// Bounds on a reply. RFC 5321 4.5.3.1.5 allows a line 512 octets; some servers write more.
const (
	maxReplyLine  = 4 << 10
	maxReplyLines = 100
)

// protocolError is a server that does not speak SMTP, or answers something that fits no command.
type protocolError struct{ text string }

func (e *protocolError) Error() string { return e.text }

// errUnasked is a reply that came before its command: it would be taken for the next command's.
var errUnasked error = &protocolError{text: "the server sent a reply to nothing"}

func protocolErrorf(format string, args ...any) error {
	return &protocolError{text: fmt.Sprintf(format, args...)}
}

// rawReply is one reply as it came: text has a line for each of its lines.
type rawReply struct {
	code int
	text string
}

func (r rawReply) parse() mail.Reply { return mail.ParseReply(r.code, r.text) }

// refused tells a 4xx or 5xx reply.
func (r rawReply) refused() bool { return r.code >= 400 }

// readReply reads one reply (RFC 5321 4.2.1). r must have a buffer of maxReplyLine. Everything else than a well-formed
// reply with a code from 200 to 599 is a *protocolError.
func readReply(r *bufio.Reader) (rawReply, error) {
	var reply rawReply
	var text strings.Builder
	for lines := 0; ; lines++ {
		if lines == maxReplyLines {
			return rawReply{}, protocolErrorf("reply of more than %d lines", maxReplyLines)
		}
		line, err := readLine(r)
		if err != nil {
			return rawReply{}, err
		}
		code, more, rest, ok := splitReplyLine(line)
		if !ok || (lines > 0 && code != reply.code) {
			return rawReply{}, protocolErrorf("not an SMTP reply: %.80q", line)
		}
		reply.code = code
		if lines > 0 {
			text.WriteByte('\n')
		}
		text.WriteString(rest)
		if !more {
			reply.text = text.String()
			return reply, nil
		}
	}
}

func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", protocolErrorf("reply line of more than %d octets: %.80q", maxReplyLine, line)
	case errors.Is(err, io.EOF) && len(line) > 0:
		return "", fmt.Errorf("connection closed within a reply: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		return "", fmt.Errorf("connection closed by the server: %w", io.EOF)
	case err != nil:
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// splitReplyLine takes "250-text" and "250 text" apart; a bare code is allowed (RFC 5321 4.2).
func splitReplyLine(line string) (code int, more bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' || !isDigit(line[1]) || !isDigit(line[2]) {
		return 0, false, "", false
	}
	code = int(line[0]-'0')*100 + int(line[1]-'0')*10 + int(line[2]-'0')
	if len(line) == 3 {
		return code, false, "", true
	}
	if line[3] != ' ' && line[3] != '-' {
		return 0, false, "", false
	}
	return code, line[3] == '-', line[4:], true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
