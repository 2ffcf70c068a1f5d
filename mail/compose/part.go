package compose

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// file is the content of an attachment and its place in the builder's buffer.
type file struct {
	at      int
	content []byte
	asItIs  bool // not encoded
}

// size is what it takes in the message.
func (f *file) size() int {
	if f.asItIs {
		return len(f.content)
	}
	return base64Len(len(f.content))
}

// signatureRoom is what a DKIM-Signature takes in front of a message, in octets.
const signatureRoom = 2048

// finish puts the files into their places, encoded. The message is allocated here, once, in its final size.
func (b *builder) finish() []byte {
	if len(b.files) == 0 {
		return b.buf
	}
	size := len(b.buf)
	for _, f := range b.files {
		size += f.size()
	}
	message := make([]byte, 0, size+signatureRoom)
	from := 0
	for _, f := range b.files {
		message = append(message, b.buf[from:f.at]...)
		if f.asItIs {
			message = append(message, f.content...)
		} else {
			message = appendBase64(message, f.content)
		}
		from = f.at
	}
	return append(message, b.buf[from:]...)
}

// file writes the fields of a file, and notes where its content goes. id is that of an image.
func (b *builder) file(a Attachment, disposition, id string) {
	asItIs := isMessage(a.Type)
	if asItIs && !mayEnclose(a.Content, b.boundary) {
		a.Type, asItIs = opaque, false
	}
	b.contentType(a)
	encoding := base64Encoding
	if asItIs {
		encoding = sevenBit
	}
	b.plain("Content-Transfer-Encoding: " + encoding)
	if id != "" {
		b.plain("Content-ID: <" + id + ">")
	}
	b.field("Content-Disposition")
	b.put(" ", disposition)
	b.fileName(a.Name)
	b.end()
	b.plain("")
	b.files = append(b.files, file{len(b.buf), a.Content, asItIs})
}

// contentType writes the type, and the name for readers that know no RFC 2231, as older Outlooks: as an encoded word in
// quotes. RFC 2047 5 does not allow it there, but it is what Outlook and Gmail write themselves, and what those programs read.
func (b *builder) contentType(a Attachment) {
	stated := a.Type
	if stated == "" {
		stated = TypeOf(a.Name, a.Content)
	}
	mediaType, params, _ := parseType(stated) // checked before
	b.field("Content-Type")
	b.put(" ", mediaType)
	for _, key := range slices.Sorted(maps.Keys(params)) {
		b.param(key + "=" + quote(params[key]))
	}
	if params["charset"] == "" && strings.HasPrefix(mediaType, "text/") && utf8.Valid(a.Content) {
		b.param("charset=utf-8")
	}
	if isPlainName(a.Name) {
		b.param(`name="` + a.Name + `"`)
	} else {
		b.buf = append(b.buf, ';')
		b.encodedWithin(`name="`, a.Name, `"`)
	}
	b.end()
}

// param writes one parameter of a structured field.
func (b *builder) param(text string) {
	b.buf = append(b.buf, ';')
	b.col++
	b.put(" ", text)
}

// fileName writes the parameter filename, in as many pieces as lines of 76 columns need (RFC 2231 3 and 4). There is no second
// filename in ASCII beside an encoded one: to MIME it is the same parameter given twice.
func (b *builder) fileName(name string) {
	if plain := `filename="` + name + `"`; isPlainName(name) && len(plain) < foldAt {
		b.param(plain)
		return
	}
	pieces := percentEncoded(name)
	if len(pieces) == 1 {
		b.param("filename*=UTF-8''" + pieces[0])
		return
	}
	for i, piece := range pieces {
		charset := ""
		if i == 0 {
			charset = "UTF-8''"
		}
		b.param(fmt.Sprintf("filename*%d*=%s%s", i, charset, piece))
	}
}

// percentEncoded cuts name into pieces of a line, never within a character: some readers decode each piece by itself.
func percentEncoded(name string) []string {
	const room = 54
	pieces := []string{""}
	for _, r := range name {
		char := string(r)
		if r >= utf8.RuneSelf || !isAlphaNum(byte(r)) && !strings.ContainsRune("-._", r) {
			encoded := make([]byte, 0, 3*len(char))
			for i := range len(char) {
				encoded = append(encoded, '%', upperHex[char[i]>>4], upperHex[char[i]&15])
			}
			char = string(encoded)
		}
		last := &pieces[len(pieces)-1]
		if len(*last)+len(char) > room {
			pieces = append(pieces, char)
			continue
		}
		*last += char
	}
	return pieces
}

// isPlainName reports whether every reader takes a quoted name as it is.
func isPlainName(name string) bool {
	return isPrintable(name) && !strings.ContainsRune(name, '"')
}
