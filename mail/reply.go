package mail

import (
	"strconv"
	"strings"
)

// ParseReply makes a Reply of a reply code and the text after it. The text may have several lines, as net/textproto
// joins them: the enhanced status code (RFC 2034) is taken off each, and the lines are joined by blanks. Controls
// become blanks and the text is cut to 500 runes, so it can go into a log and a column as it is.
func ParseReply(code int, text string) Reply {
	reply := Reply{Code: code}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if b.Len() > 8*maxText {
			break
		}
		line = strings.TrimSpace(trimCode(strings.TrimSpace(line), code))
		status, rest := cutStatus(line)
		if reply.Enhanced == "" {
			reply.Enhanced = status
		}
		b.WriteString(rest)
		b.WriteByte(' ')
	}
	reply.Text = oneLine(b.String(), maxText)
	if reply.Enhanced == "" {
		reply.Enhanced = hashStatus(reply.Text)
	}
	return reply
}

// trimCode takes off the reply code that some servers and relays repeat within the text.
func trimCode(line string, code int) string {
	rest, found := strings.CutPrefix(line, strconv.Itoa(code))
	if !found || rest == "" || (rest[0] != ' ' && rest[0] != '-') {
		return line
	}
	return rest[1:]
}

// cutStatus splits a status code (RFC 3463 2) off the head of a line.
func cutStatus(line string) (status, rest string) {
	word, rest, _ := strings.Cut(line, " ")
	if _, _, ok := splitStatus(word); !ok {
		return "", line
	}
	return word, strings.TrimSpace(rest)
}

// hashStatus finds a status code that stands within the text after a #, as qmail and some gateways write it.
func hashStatus(text string) string {
	for {
		_, rest, found := strings.Cut(text, "#")
		if !found {
			return ""
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
		if end < 0 {
			end = len(rest)
		}
		status := strings.TrimSuffix(rest[:end], ".")
		if _, _, ok := splitStatus(status); ok {
			return status
		}
		text = rest
	}
}

// splitStatus reads the subject and the detail of a status code. Its class adds nothing to the reply code's first digit.
func splitStatus(status string) (subject, detail int, ok bool) {
	class, rest, _ := strings.Cut(status, ".")
	left, right, _ := strings.Cut(rest, ".")
	if class != "2" && class != "4" && class != "5" {
		return 0, 0, false
	}
	subject, ok1 := threeDigits(left)
	detail, ok2 := threeDigits(right)
	return subject, detail, ok1 && ok2
}

// threeDigits reads a number of one to three digits.
func threeDigits(s string) (n int, ok bool) {
	if s == "" || len(s) > 3 {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}
