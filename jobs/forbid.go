package jobs

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"net/textproto"
	"strings"
)

// allowed refuses an attachment that the job forbids.
func (k *packer) allowed(name, mediaType string) error {
	p := forbids(k.forbidden, name, mediaType)
	if p == "" {
		return nil
	}
	return &rowError{fmt.Sprintf("attachment %q: %s is among the job's forbidden_types: send it in another form, or as a link", name, p)}
}

// forbids returns which of the patterns an attachment meets, "" for none. Patterns are media types, all subtypes of one as
// image/*, and file extensions as .exe, in lower case.
func forbids(patterns []string, name, mediaType string) string {
	name = strings.TrimRight(strings.ToLower(name), ". ") // Windows opens a.exe. as a.exe
	if base, _, err := mime.ParseMediaType(mediaType); err == nil {
		mediaType = base
	}
	for _, p := range patterns {
		major, all := strings.CutSuffix(p, "*")
		switch {
		case strings.HasPrefix(p, "."):
			if strings.HasSuffix(name, p) {
				return p
			}
		case p == mediaType, all && strings.HasPrefix(mediaType, major):
			return p
		}
	}
	return ""
}

// allowedEnclosed looks through a message that goes as a file.
func (k *packer) allowedEnclosed(mediaType string, content []byte) error {
	if base, _, err := mime.ParseMediaType(mediaType); len(k.forbidden) == 0 || err != nil || base != enclosed {
		return nil
	}
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		return nil // it is none, and goes as a file as any other
	}
	return k.allowedPart(textproto.MIMEHeader(m.Header), m.Body, 1)
}

const enclosed = "message/rfc822" // the type of a message within a message

// maxNesting is how deep the parts of a finished message are looked through; programs that show mail give up before.
const maxNesting = 50

// allowedWithin looks through the parts of a finished message.
func (k *packer) allowedWithin(message []byte) error {
	if len(k.forbidden) == 0 {
		return nil
	}
	m, err := netmail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return &rowError{"raw: its parts cannot be looked through for the job's forbidden_types: " + err.Error()}
	}
	return k.allowedPart(textproto.MIMEHeader(m.Header), m.Body, 0)
}

func (k *packer) allowedPart(header textproto.MIMEHeader, body io.Reader, depth int) error {
	mediaType, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		mediaType = strings.ToLower(strings.TrimSpace(header.Get("Content-Type")))
	}
	name := params["name"]
	if _, shown, err := mime.ParseMediaType(header.Get("Content-Disposition")); err == nil && shown["filename"] != "" {
		name = shown["filename"]
	}
	if decoded, err := new(mime.WordDecoder).DecodeHeader(name); err == nil {
		name = decoded // not allowed there, and many programs write it
	}
	if err := k.allowed(name, mediaType); err != nil || depth == maxNesting {
		return err
	}
	switch {
	case strings.HasPrefix(mediaType, "multipart/"):
		parts := multipart.NewReader(body, params["boundary"])
		for {
			part, err := parts.NextRawPart()
			if err != nil { // also of what is broken: no program finds more parts
				return nil
			}
			if err := k.allowedPart(part.Header, part, depth+1); err != nil {
				return err
			}
		}
	case mediaType == enclosed:
		if m, err := netmail.ReadMessage(body); err == nil {
			return k.allowedPart(textproto.MIMEHeader(m.Header), m.Body, depth+1)
		}
	}
	return nil
}
