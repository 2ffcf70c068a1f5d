package template

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-playground/locales"
	"golang.org/x/text/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

const noBreak = "\u00a0" // keeps a number and its unit on one line

// locale is how a language writes numbers, money and dates.
type locale struct {
	tag                     language.Tag
	minus, point, group     string
	primary, secondary      int // digits of the last group, and of those before it
	percentFront, percentIn string
	percentBehind           string
	money                   placement
	dates                   locales.Translator // nil: not among dateLanguages
	mu                      sync.Mutex
	symbols                 map[string]unit // by currency code
}

// unit is a currency as a language writes it.
type unit struct {
	symbol   string
	decimals int
}

// newLocale learns a language's signs from what golang.org/x/text makes of a few numbers. Digits are always 0 to 9.
func newLocale(tag language.Tag) *locale {
	latin, err := tag.SetTypeForKey("nu", "latn")
	if err != nil {
		latin = tag
	}
	p := message.NewPrinter(latin)
	l := &locale{tag: tag, money: placementOf(tag), dates: datesOf(tag), symbols: map[string]unit{}}
	l.minus, _, _ = strings.Cut(p.Sprint(number.Decimal(-7)), "7")
	l.learnGroups(p.Sprint(number.Decimal(1234567890.5)))
	l.learnPercent(p.Sprint(number.Percent(-0.07)))
	return l
}

// learnGroups takes 1234567890.5 as the language writes it apart.
func (l *locale) learnGroups(s string) {
	runs := strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	signs := strings.FieldsFunc(s, func(r rune) bool { return r >= '0' && r <= '9' })
	if len(runs) < 2 || len(signs) != len(runs)-1 {
		l.point = "."
		return
	}
	l.point = signs[len(signs)-1]
	if len(runs) > 3 {
		l.group = signs[0]
		l.primary, l.secondary = len(runs[len(runs)-2]), len(runs[len(runs)-3])
	}
}

// learnPercent takes -7 % as the language writes it apart.
func (l *locale) learnPercent(s string) {
	front, behind, _ := strings.Cut(s, "7")
	l.percentBehind = behind
	before, after, found := strings.Cut(front, l.minus)
	if !found {
		before, after = front, ""
	}
	l.percentFront, l.percentIn = before, after
}

// decimal writes a number without its sign.
func (l *locale) unsigned(d decimal) string {
	whole, fraction := d.split()
	b := make([]byte, 0, len(whole)*2+len(fraction)+4)
	for i := range len(whole) {
		if rest := len(whole) - i; i > 0 && l.group != "" && rest >= l.primary && (rest-l.primary)%l.secondary == 0 {
			b = append(b, l.group...)
		}
		b = append(b, whole[i])
	}
	if fraction != "" {
		b = append(append(b, l.point...), fraction...)
	}
	return string(b)
}

func (l *locale) number(d decimal) string { return l.sign(d) + l.unsigned(d) }

func (l *locale) sign(d decimal) string {
	if d.negative {
		return l.minus
	}
	return ""
}

// percent writes 0.07 as 7 %.
func (l *locale) percent(d decimal) string {
	return l.percentFront + l.sign(d) + l.percentIn + l.unsigned(d) + l.percentBehind
}

// amount writes money. The number is rounded already.
func (l *locale) amount(d decimal, symbol string) string {
	digits := l.unsigned(d)
	switch l.money {
	case before:
		gap := ""
		if r, _ := utf8.DecodeLastRuneInString(symbol); unicode.IsLetter(r) {
			gap = noBreak // CLDR: a currency's letters keep off the digits
		}
		return l.sign(d) + symbol + gap + digits
	case beforeApart:
		return l.sign(d) + symbol + noBreak + digits
	case beforeMinus:
		return symbol + noBreak + l.sign(d) + digits
	}
	return l.sign(d) + digits + noBreak + symbol
}

// unit returns a currency's symbol and decimals; false for what is no currency of ISO 4217.
func (l *locale) unit(code string) (unit, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u, ok := l.symbols[code]; ok {
		return u, true
	}
	u, ok := lookUp(code, message.NewPrinter(l.tag))
	if ok {
		l.symbols[code] = u
	}
	return u, ok
}

func lookUp(code string, p *message.Printer) (unit, bool) {
	if len(code) != 3 || strings.ToUpper(code) != code {
		return unit{}, false
	}
	if newCurrencies[code] {
		return unit{code, 2}, true
	}
	c, err := currency.ParseISO(code)
	if err != nil {
		return unit{}, false
	}
	decimals, _ := currency.Standard.Rounding(c)
	return unit{p.Sprint(currency.Symbol(c)), decimals}, true
}

// newCurrencies are younger than the tables of golang.org/x/text.
var newCurrencies = map[string]bool{"MRU": true, "SLE": true, "STN": true, "VED": true, "VES": true, "XCG": true, "ZWG": true}

// placement is where a language puts a currency's symbol.
type placement int

const (
	behind      placement = iota // 1 234,50 €
	before                       // €1,234.50
	beforeApart                  // R$ 1.234,50
	beforeMinus                  // € -1.234,50
)

// placements are CLDR's, of the languages that do not put the symbol behind.
var placements = map[string]placement{
	"en": before, "cy": before, "ga": before, "gd": before, "mt": before, "tr": before, "ja": before, "ko": before, "zh": before,
	"th": before, "hi": before, "bn": before, "ta": before, "fil": before, "sw": beforeApart, "es-MX": before, "es-US": before,
	"es-AR": beforeApart, "es-CO": beforeApart, "pt": beforeApart, "pt-PT": behind, "id": beforeApart, "ms": beforeApart,
	"de-AT": beforeApart, "de-CH": beforeMinus, "de-LI": beforeMinus, "it-CH": beforeMinus, "nl": beforeMinus, "nl-BE": beforeMinus,
}

// placementOf walks from the language to its parents.
func placementOf(tag language.Tag) placement {
	for ; tag != language.Und; tag = tag.Parent() {
		if p, ok := placements[tag.String()]; ok {
			return p
		}
	}
	return behind
}

// locales by language. A daemon meets a handful; what foreign rows may invent is bounded.
type localeCache struct {
	mu  sync.Mutex
	all map[string]*locale
}

func (c *localeCache) get(tag language.Tag) *locale {
	base, script, region := tag.Raw()
	tag, err := language.Compose(base, script, region) // without variants and extensions
	if err != nil {
		tag = language.Und
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := tag.String()
	l := c.all[key]
	if l == nil {
		if len(c.all) > 200 {
			clear(c.all)
		}
		l = newLocale(tag)
		c.all[key] = l
	}
	return l
}
