package jobs

import (
	"mime"
	"strings"
)

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
