package compose

import (
	"fmt"
	"mime"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Attachment is a file that goes with a message.
//
// Its name is written as it is or refused, never changed: path separators, control characters, characters that turn the
// direction of writing (with which invoice.exe shows as invoiceexe.pdf), a dot or a blank at an end, and no name at all are an error.
type Attachment struct {
	Name      string // as the reader's program shows and saves it, without a folder
	Type      string // media type, as in application/pdf, perhaps with parameters; "" takes TypeOf's
	Content   []byte // arrives octet for octet; not changed and not kept
	ContentID string // of Message.Inline only: what the HTML calls it, without cid:
}

// Limits of an attachment's texts, in characters.
const (
	maxFileName  = 255
	maxType      = 127
	maxContentID = 255
)

// checkFiles checks what is attached and what is shown inline, in this order.
func checkFiles(attached, inline []Attachment) error {
	seen := map[string]bool{}
	for i, list := range [][]Attachment{attached, inline} {
		for n, a := range list {
			reason := a.fault()
			if i == 1 && reason == "" {
				reason = contentIDFault(a.ContentID, seen)
			}
			if reason != "" {
				what := [...]string{"number", "inline image"}[i]
				return &FieldError{"attachment", fmt.Sprintf("%s %d (%s): %s", what, n+1, excerpt(a.Name), reason)}
			}
		}
	}
	return nil
}

func (a *Attachment) fault() string {
	if reason := fileNameFault(a.Name); reason != "" {
		return reason
	}
	if a.Type == "" {
		return ""
	}
	_, _, reason := parseType(a.Type)
	return reason
}

// CheckFileName says in a *FieldError why a file cannot have this name, before there is a message that it goes with.
func CheckFileName(name string) error {
	if reason := fileNameFault(name); reason != "" {
		return &FieldError{"attachment", excerpt(name) + ": " + reason}
	}
	return nil
}

// EncodedSize is how many octets of a message a file of so many takes, without its header.
func EncodedSize(n int) int64 { return int64(base64Len(n)) }

// fileNameFault says why a file name cannot go out, or "".
func fileNameFault(name string) string {
	switch {
	case name == "":
		return "the file has no name; give it one, such as invoice.pdf"
	case !utf8.ValidString(name):
		return "the name is not valid UTF-8"
	case utf8.RuneCountInString(name) > maxFileName:
		return fmt.Sprintf("the name has more than %d characters", maxFileName)
	case strings.ContainsAny(name, `/\`):
		return `the name holds a path separator (/ or \); give the file's name without its folder`
	case strings.Contains(name, "=?"):
		return "the name holds =?, which mail programs take for an encoded word and show otherwise; leave it out"
	case strings.Trim(name, ".") != name:
		return "the name begins or ends with a dot, which hides the file or its kind; remove the dot"
	case strings.TrimSpace(name) != name:
		return "the name begins or ends with a blank; remove it"
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || turnsDirection(r) {
			return fmt.Sprintf("the name holds the invisible character %U; remove it", r)
		}
	}
	return ""
}

// turnsDirection: the embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX #9 2). The marks that
// names in Hebrew and Arabic need are none of them.
func turnsDirection(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// contentIDFault says why an image cannot be called id, or "". Each name may stand once.
func contentIDFault(id string, seen map[string]bool) string {
	switch {
	case id == "" || utf8.RuneCountInString(id) > maxContentID:
		return fmt.Sprintf("an inline image needs a content_id of 1 to %d characters", maxContentID)
	case !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl) || strings.ContainsAny(id, `<>"`) || strings.TrimSpace(id) != id:
		return `the content_id holds a character that may not stand there; write it as in cid:NAME, without < > and "`
	case seen[id]:
		return "the content_id " + excerpt(id) + " is another image's too"
	}
	seen[id] = true
	return ""
}

// parseType reads a stated media type and its parameters (RFC 2045 5.1). multipart/ is refused, and message/ but for a whole
// message: see mayEnclose.
func parseType(stated string) (mediaType string, params map[string]string, reason string) {
	if len(stated) > maxType || !isPrintable(stated) {
		return "", nil, fmt.Sprintf("the type must be a media type of at most %d characters, such as application/pdf", maxType)
	}
	mediaType, params, err := mime.ParseMediaType(stated)
	kind, rest, _ := strings.Cut(mediaType, "/")
	switch {
	case err != nil || kind == "" || rest == "":
		return "", nil, "the type " + excerpt(stated) + " is no media type; write one such as application/pdf, or leave it empty"
	case kind == "message" && mediaType != enclosed, kind == "multipart":
		return "", nil, "the type " + excerpt(mediaType) + " is not possible for a file; write application/octet-stream, programs open it by its name"
	}
	for key, value := range params {
		if key == "name" || key == "boundary" || !isPrintable(value) {
			return "", nil, "the type's parameter " + excerpt(key) + " is not possible here; leave it out"
		}
	}
	return mediaType, params, ""
}
