package compose

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

const shortLine = 78 // RFC 5322 2.1.1; text with longer lines is not sent as it is

// The transfer encodings in use (RFC 2045 6). 8bit is not: it depends on what the server offers.
const (
	sevenBit        = "7bit"
	quotedPrintable = "quoted-printable"
	base64Encoding  = "base64"
)

// alternative writes both bodies, the better one last (RFC 2046 5.1.4).
func (b *builder) alternative(text, html, boundary string) {
	b.plain("Content-Type: multipart/alternative;")
	b.plain(` boundary="` + boundary + `"`)
	delimiter := "\r\n--" + boundary
	b.plain(delimiter)
	b.part("text/plain", text, boundary)
	b.plain(delimiter)
	b.part("text/html", html, boundary)
	b.plain(delimiter + "--")
}

// part writes the fields and the body of one text in UTF-8. s has been normalised.
func (b *builder) part(mediaType, s, boundary string) {
	encoding := chooseEncoding(s, boundary)
	b.plain("Content-Type: " + mediaType + "; charset=utf-8")
	b.plain("Content-Transfer-Encoding: " + encoding)
	b.plain("")
	switch encoding {
	case quotedPrintable:
		b.buf = appendQuotedPrintable(b.buf, s)
	case base64Encoding:
		b.buf = appendBase64(b.buf, s)
	default:
		b.buf = append(b.buf, s...)
	}
}

// chooseEncoding prefers what a person can read in the raw message. Text that holds the boundary is encoded: neither
// encoding can produce "=_".
func chooseEncoding(s, boundary string) string {
	longest, special := survey(s)
	switch {
	case special*2 > len(s):
		return base64Encoding
	case special > 0 || longest > shortLine || boundary != "" && strings.Contains(s, boundary):
		return quotedPrintable
	}
	return sevenBit
}

// survey returns the length of the longest line and the number of bytes that 7bit text should not hold.
func survey(s string) (longest, special int) {
	start := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\n':
			longest = max(longest, i-1-start) // the CR before it
			start = i + 1
		case c >= 0x7f, c < ' ' && c != '\t' && c != '\f' && c != '\r':
			special++
		}
	}
	return longest, special
}

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
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\r' || c == '\n' {
			dst = append(dst, c)
			col = 0
			continue
		}
		literal := c > ' ' && c < 0x7f && c != '=' || (c == ' ' || c == '\t') && i+1 < len(s) && s[i+1] != '\r'
		width := 3
		if literal {
			width = 1
		}
		if col+width > room {
			dst = append(dst, "=\r\n"...)
			col = 0
		}
		if literal {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
		col += width
	}
	return dst
}

// appendBase64 encodes in lines of 76 columns (RFC 2045 6.8).
func appendBase64(dst []byte, s string) []byte {
	const perLine = 57
	data := []byte(s)
	for len(data) > 0 {
		n := min(perLine, len(data))
		dst = base64.StdEncoding.AppendEncode(dst, data[:n])
		dst = append(dst, '\r', '\n')
		data = data[n:]
	}
	return dst
}
