package compose

import (
	"bytes"
	"mime"
)

const (
	enclosed = "message/rfc822"           // a whole message as a file
	opaque   = "application/octet-stream" // what programs open by its name
)

// isMessage tells whether a stated type says that the file is a message.
func isMessage(stated string) bool {
	mediaType, _, err := mime.ParseMediaType(stated)
	return err == nil && mediaType == enclosed
}

// mayEnclose tells whether a file can go as the message that it is. Such a part may not be encoded (RFC 2046 5.2.1), so every server on
// the way has to be able to take it octet for octet: a header, lines of ASCII that end in CRLF and are not too long, and no
// boundary of the message around it. Any other file of that type goes encoded, as a file that programs open by its name.
func mayEnclose(content []byte, boundary string) bool {
	r := &Raw{raw: content}
	return r.readLines() == nil && len(r.fields) > 0 && r.body < len(content) && r.bare == 0 && !hasEightBit(content) &&
		!bytes.Contains(content, []byte(boundary))
}
