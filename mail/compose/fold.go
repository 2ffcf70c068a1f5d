package compose

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

const (
	foldAt  = 76  // RFC 2047 2: a line with an encoded word has at most 76 columns; used for every line
	maxLine = 998 // RFC 5322 2.1.1, without CRLF
	maxWord = 66  // one encoded word, so that the first one fits behind "Reply-To: " (RFC 2047 allows 75)

	wordStartQ, wordStartB, wordEnd = "=?utf-8?q?", "=?utf-8?b?", "?="
	wordRoom                        = maxWord - len(wordStartQ) - len(wordEnd)
)

const upperHex = "0123456789ABCDEF"

// builder appends to one buffer and knows the column of the header line it is on.
type builder struct {
	buf       []byte
	col       int
	takes8Bit bool   // the message travels by SMTPUTF8, whose servers offer 8BITMIME too (RFC 6531 3.1)
	holds8Bit bool   // and one of its texts is 8bit
	boundary  string // what every boundary of the message ends with; "" in a message of one part
	files     []file // what belongs into buf and is not there yet
}

// field starts a header field.
func (b *builder) field(name string) {
	b.buf = append(append(b.buf, name...), ':')
	b.col = len(name) + 1
}

// put writes blank and then word, on a new line when they do not fit on this one. The blank is what folding needs:
// a continuation line starts with it and unfolds to the same text (RFC 5322 2.2.3).
func (b *builder) put(blank, word string) {
	n := len(blank) + len(word)
	if b.col+n > foldAt {
		b.buf = append(b.buf, "\r\n"...)
		b.col = 0
	}
	b.buf = append(append(b.buf, blank...), word...)
	b.col += n
}

// end ends a header field.
func (b *builder) end() { b.buf = append(b.buf, "\r\n"...) }

// plain writes a line as it is.
func (b *builder) plain(line string) { b.buf = append(append(b.buf, line...), "\r\n"...) }

// subject writes the Subject. It is encoded whenever unfolding or trimming by a reader could change it.
func (b *builder) subject(s string) {
	b.field("Subject")
	if singleSpaced(s) {
		b.words(s)
	} else {
		b.encoded(s)
	}
	b.end()
}

// extra writes one header of the row. ASCII stays as it is, long words too, as far as a line can hold them: programs
// read such fields without decoding.
func (b *builder) extra(h Header) {
	b.field(h.Name)
	v := trimBlanks(h.Value)
	if isStructured(h.Name) || isPlainText(v) {
		b.words(v)
	} else {
		b.encoded(v)
	}
	b.end()
}

// words writes s folded at its blanks, which are kept. s neither starts nor ends with one.
func (b *builder) words(s string) {
	blank := " "
	for s != "" {
		var word string
		word, s = cutWord(s)
		b.put(blank, word)
		blank = s[:blanks(s)]
		s = s[len(blank):]
	}
}

// encoded writes s as encoded words (RFC 2047), in the shorter of the two encodings, never cutting a character.
func (b *builder) encoded(s string) { b.encodedWithin("", s, "") }

// encodedWithin writes s as encoded words, with before in front of the first and after behind the last.
func (b *builder) encodedWithin(before, s, after string) {
	quoted := costQ(s) <= base64.StdEncoding.EncodedLen(len(s))
	var array [foldAt]byte
	for s != "" {
		n := wordCut(s, quoted)
		word := append(array[:0], before...)
		before = ""
		if quoted {
			word = appendQ(append(word, wordStartQ...), s[:n])
		} else {
			word = base64.StdEncoding.AppendEncode(append(word, wordStartB...), []byte(s[:n]))
		}
		word = append(word, wordEnd...)
		if s = s[n:]; s == "" {
			word = append(word, after...)
		}
		b.put(" ", string(word))
	}
}

// wordCut returns how many bytes of s one encoded word takes.
func wordCut(s string, quoted bool) int {
	n, cost := 0, 0
	for n < len(s) {
		_, size := utf8.DecodeRuneInString(s[n:])
		if quoted {
			cost += costQ(s[n : n+size])
		} else {
			cost = base64.StdEncoding.EncodedLen(n + size)
		}
		if cost > wordRoom {
			break
		}
		n += size
	}
	return n
}

// costQ is the length of s in the Q encoding.
func costQ(s string) int {
	n := 0
	for i := 0; i < len(s); i++ {
		if s[i] == ' ' || isQSafe(s[i]) {
			n++
		} else {
			n += 3
		}
	}
	return n
}

func appendQ(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			dst = append(dst, '_')
		case isQSafe(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// isQSafe: the set for a phrase (RFC 2047 5.3), which is safe everywhere else too.
func isQSafe(c byte) bool {
	return isAlphaNum(c) || c == '!' || c == '*' || c == '+' || c == '-' || c == '/'
}

// singleSpaced reports whether s can stand as it is and is read back exactly: printable ASCII, words of a line's
// length with one space between them, nothing that looks like an encoded word.
func singleSpaced(s string) bool {
	word := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			if word == 0 || i == len(s)-1 {
				return false
			}
			word = 0
		case c < ' ' || c > '~' || word == maxWord:
			return false
		default:
			word++
		}
	}
	return !strings.Contains(s, "=?")
}

// isPlainText reports whether a row's unstructured header can stand as it is.
func isPlainText(s string) bool {
	return isASCII(s) && longestWord(s) < maxLine && !strings.Contains(s, "=?")
}

// longestWord returns the length of the longest piece that folding cannot divide: a word with the blanks before it.
func longestWord(s string) int {
	longest := 0
	for s != "" {
		n := blanks(s)
		word, rest := cutWord(s[n:])
		longest = max(longest, n+len(word))
		s = rest
	}
	return longest
}

// cutWord cuts s before its first blank.
func cutWord(s string) (word, rest string) {
	i := 0
	for i < len(s) && s[i] != ' ' && s[i] != '\t' {
		i++
	}
	return s[:i], s[i:]
}

// blanks counts the spaces and tabs that s starts with.
func blanks(s string) int {
	i := 0
	for i < len(s) && (s[i] == ' ' || s[i] == '\t') {
		i++
	}
	return i
}

func trimBlanks(s string) string { return strings.Trim(s, " \t") }
