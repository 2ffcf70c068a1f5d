package compose

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

const shortLine = 78 // RFC 5322 2.1.1; text with longer lines is not sent as it is

// The transfer encodings in use (RFC 2045 6). Only a server that must take SMTPUTF8 is known to take 8bit.
const (
	sevenBit        = "7bit"
	eightBit        = "8bit"
	quotedPrintable = "quoted-printable"
	base64Encoding  = "base64"
)

// body writes the fields and the bodies of all parts: each level around the one before, and only where it has something to hold.
func (b *builder) body(text, html string, images []image, attached []Attachment) {
	plain, marked := b.text("text/plain", text), b.text("text/html", html)
	write := plain
	if html != "" {
		write = func() { b.multipart("multipart/alternative;", b.boundary, plain, marked) } // the better one last (RFC 2046 5.1.4)
	}
	if len(images) > 0 {
		parts := []func(){write}
		for _, i := range images {
			parts = append(parts, func() { b.file(i.Attachment, "inline", i.id) })
		}
		write = func() {
			b.multipart(`multipart/related; type="multipart/alternative";`, "related"+b.boundary, parts...)
		}
	}
	if len(attached) > 0 {
		parts := []func(){write}
		for _, a := range attached {
			parts = append(parts, func() { b.file(a, "attachment", "") })
		}
		write = func() { b.multipart("multipart/mixed;", "mixed"+b.boundary, parts...) }
	}
	write()
}

// multipart writes parts under a boundary (RFC 2046 5.1).
func (b *builder) multipart(mediaType, boundary string, parts ...func()) {
	b.plain("Content-Type: " + mediaType)
	b.plain(` boundary="` + boundary + `"`)
	if b.holds8Bit { // whoever looks at the outer level alone must know (RFC 2045 6.4)
		b.plain("Content-Transfer-Encoding: " + eightBit)
	}
	delimiter := "\r\n--" + boundary
	for _, part := range parts {
		b.plain(delimiter)
		part()
	}
	b.plain(delimiter + "--")
}

// text chooses the encoding of one text in UTF-8 and returns what writes its fields and its body. s has been normalised.
func (b *builder) text(mediaType, s string) (write func()) {
	encoding := chooseEncoding(s, b.boundary, b.takes8Bit)
	b.holds8Bit = b.holds8Bit || encoding == eightBit
	return func() {
		b.plain("Content-Type: " + mediaType + "; charset=utf-8")
		b.plain("Content-Transfer-Encoding: " + encoding)
		b.plain("")
		switch encoding {
		case quotedPrintable:
			b.buf = appendQuotedPrintable(b.buf, s)
		case base64Encoding:
			b.buf = appendBase64(b.buf, []byte(s))
		default:
			b.buf = append(b.buf, s...)
		}
	}
}

// chooseEncoding prefers what a person can read in the raw message. Text that holds the boundary is encoded: neither
// encoding can produce "=_".
func chooseEncoding(s, boundary string, eight bool) string {
	longest, controls, high := survey(s)
	bounded := boundary != "" && strings.Contains(s, boundary)
	switch {
	case eight && high > 0 && controls == 0 && longest <= maxLine && !bounded:
		return eightBit
	case (controls+high)*2 > len(s):
		return base64Encoding
	case controls+high > 0 || longest > shortLine || bounded:
		return quotedPrintable
	}
	return sevenBit
}

// survey returns the length of the longest line, and how many control characters and how many 8-bit octets 7bit text should not hold.
func survey(s string) (longest, controls, high int) {
	start := 0
	for i := range len(s) {
		switch c := s[i]; {
		case isOrdinary[c]:
		case c == '\n':
			longest = max(longest, i-1-start) // the CR before it
			start = i + 1
		case c > 0x7f:
			high++
		default:
			controls++
		}
	}
	return longest, controls, high
}

// isOrdinary says which octets 7bit text may hold anywhere.
var isOrdinary = func() (set [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		set[c] = true
	}
	set['\t'], set['\f'], set['\r'] = true, true, true
	return set
}()

// boundary derives a multipart boundary from the Message-ID, so that a row built again gives the same octets.
func boundary(messageID string) string {
	sum := sha256.Sum256([]byte(messageID))
	return "=_" + hex.EncodeToString(sum[:16])
}

// normalise makes every line end CRLF (from CRLF, LF or CR) and ends the last line of a text that is not empty.
func normalise(s string) string {
	var b strings.Builder
	b.Grow(len(s) + strings.Count(s, "\n") + strings.Count(s, "\r") + 2)
	for s != "" {
		line, rest, ended := strings.Cut(s, "\n")
		s = rest
		if ended {
			line = strings.TrimSuffix(line, "\r")
		}
		for {
			first, more, found := strings.Cut(line, "\r")
			if first == "" && !found && !ended {
				break // the text ended in a CR
			}
			b.WriteString(first)
			b.WriteString("\r\n")
			if !found {
				break
			}
			line = more
		}
	}
	return b.String()
}

// appendQuotedPrintable encodes normalised text (RFC 2045 6.7) in lines of at most 76 columns.
func appendQuotedPrintable(dst []byte, s string) []byte {
	const room = 75 // and the = of a soft line break
	col := 0
	for i := 0; i < len(s); {
		n := literals(s[i:min(len(s), i+room-col)])
		if n > 0 && atLineEnd(s, i+n) && (s[i+n-1] == ' ' || s[i+n-1] == '\t') {
			n-- // a blank at the end of a line would be lost
		}
		dst = append(dst, s[i:i+n]...)
		col += n
		if i += n; i == len(s) {
			break
		}
		c := s[i]
		literal := isLiteral[c] && !(atLineEnd(s, i+1) && (c == ' ' || c == '\t'))
		switch {
		case c == '\r' || c == '\n':
			dst = append(dst, c)
			col = 0
			i++
		case literal || col+3 > room:
			dst = append(dst, "=\r\n"...)
			col = 0
		default:
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
			col += 3
			i++
		}
	}
	return dst
}

// literals counts the octets that stand for themselves which s begins with.
func literals(s string) int {
	for i := range len(s) {
		if !isLiteral[s[i]] {
			return i
		}
	}
	return len(s)
}

func atLineEnd(s string, i int) bool { return i == len(s) || s[i] == '\r' }

// isLiteral says which octets stand for themselves in quoted-printable.
var isLiteral = func() (set [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		set[c] = c != '='
	}
	set['\t'] = true
	return set
}()

const base64Line = 57 // octets on a line of 76 columns

// appendBase64 encodes in lines of 76 columns (RFC 2045 6.8).
func appendBase64(dst, data []byte) []byte {
	for len(data) > 0 {
		n := min(base64Line, len(data))
		dst = base64.StdEncoding.AppendEncode(dst, data[:n])
		dst = append(dst, '\r', '\n')
		data = data[n:]
	}
	return dst
}

// base64Len is what appendBase64 makes of n octets.
func base64Len(n int) int {
	return base64.StdEncoding.EncodedLen(n) + 2*((n+base64Line-1)/base64Line)
}
