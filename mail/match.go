package mail

import (
	"strings"
	"unicode"
)

// steps is a set of steps.
type steps uint16

const (
	atGreeting = 1<<StepConnect | 1<<StepTLS | 1<<StepHello
	atAuth     = 1 << StepAuth
	atMail     = 1 << StepMail
	atRcpt     = 1 << StepRcpt
	atContent  = 1<<StepData | 1<<StepBody | 1<<StepDot
	atRcptOn   = atRcpt | atContent
	atMailOn   = atMail | atRcptOn
	anywhere   = atGreeting | atAuth | atMailOn
)

func (s steps) has(step Step) bool { return step <= StepDot && s&(1<<step) != 0 }

// phraseRule fits a reply by its words. A phrase matches from the start of a word and may end within one, so that
// "greylist" finds "greylisted" and "greylisting". See plainWords for how a text is made ready.
type phraseRule struct {
	name    string
	at      steps
	digit   int      // 4 or 5: only such codes; 0: both
	subject int      // of the enhanced status code; 0: any
	has     []string // one of these
	with    []string // and one of these, if there are any
	without []string // and none of these
	cause   cause
}

func (r *phraseRule) fits(f *facts) bool {
	return r.at.has(f.step) && (r.digit == 0 || r.digit == f.digit) && (r.subject == 0 || r.subject == f.subject) &&
		anyPhrase(f.words, r.has) && (len(r.with) == 0 || anyPhrase(f.words, r.with)) && !anyPhrase(f.words, r.without)
}

// statusRule fits a reply by its enhanced status code: a subject and a range of details.
type statusRule struct {
	name     string
	at       steps
	digit    int
	subject  int
	from, to int
	cause    cause
}

func (r *statusRule) fits(f *facts) bool {
	// A 421 closes the connection: only the words may say that it is about one mail or recipient.
	if f.code == 421 && r.cause.scope != ScopeAccount && r.cause.scope != ScopeServer {
		return false
	}
	return r.subject == f.subject && r.from <= f.detail && f.detail <= r.to &&
		r.at.has(f.step) && (r.digit == 0 || r.digit == f.digit)
}

// codeRule fits a reply by its code.
type codeRule struct {
	name  string
	code  int
	at    steps
	cause cause
}

// maxMatched bounds the text that rules look at, in octets. Replies end long before.
const maxMatched = 2048

func factsOf(step Step, r Reply) facts {
	f := facts{step: step, code: r.Code, digit: r.Code / 100, subject: -1}
	if subject, detail, ok := splitStatus(r.Enhanced); ok {
		f.subject, f.detail = subject, detail
	}
	text := r.Text
	if len(text) > maxMatched {
		text = text[:maxMatched]
	}
	f.words = plainWords(text)
	return f
}

// plainWords makes a text comparable: lower case, words parted by single blanks with one at either end, apostrophes
// dropped and CamelCase split. Addresses, URLs and host names go, because their words are somebody's name and say
// nothing about the reply: spam@example.com may simply be full. A text of nothing but a URL keeps it.
func plainWords(text string) string {
	var b strings.Builder
	b.Grow(len(text) + 16)
	b.WriteByte(' ')
	url := ""
	for token := range strings.FieldsSeq(text) {
		switch {
		case strings.Contains(token, "@") || isHostName(token):
		case strings.Contains(token, "://"):
			url = token
		default:
			writeWords(&b, token)
		}
	}
	if b.Len() == 1 {
		writeWords(&b, url)
	}
	return b.String()
}

// writeWords writes the words of one token, each followed by a blank.
func writeWords(b *strings.Builder, token string) {
	open, lower := false, false
	for _, r := range token {
		switch {
		case r == '\'' || r == '’':
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			if open {
				b.WriteByte(' ')
			}
			open, lower = false, false
			continue
		case lower && unicode.IsUpper(r):
			b.WriteByte(' ')
		}
		b.WriteRune(unicode.ToLower(r))
		open, lower = true, unicode.IsLower(r)
	}
	if open {
		b.WriteByte(' ')
	}
}

// isHostName tells host names and IP addresses: two inner dots or more, and nothing but lower case, digits and hyphens.
func isHostName(token string) bool {
	token = strings.Trim(token, "<>()[]{}\"',;:.")
	dots := 0
	for i := 0; i < len(token); i++ {
		switch c := token[i]; {
		case c == '.':
			dots++
		case c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z'):
			return false
		}
	}
	return dots >= 2
}

// anyPhrase says whether one of the phrases starts at a word of the text.
func anyPhrase(words string, phrases []string) bool {
	for _, phrase := range phrases {
		if hasPhrase(words, phrase) {
			return true
		}
	}
	return false
}

func hasPhrase(words, phrase string) bool {
	for from := 0; ; {
		i := strings.Index(words[from:], phrase)
		if i < 0 {
			return false
		}
		if at := from + i; at > 0 && words[at-1] == ' ' {
			return true
		}
		from += i + 1
	}
}
