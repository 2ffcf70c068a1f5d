package template

import (
	"fmt"
	"strings"
	"time"

	"github.com/go-playground/locales"
	"github.com/go-playground/locales/ar"
	"github.com/go-playground/locales/bg"
	"github.com/go-playground/locales/bs"
	"github.com/go-playground/locales/ca"
	"github.com/go-playground/locales/cs"
	"github.com/go-playground/locales/cy"
	"github.com/go-playground/locales/da"
	"github.com/go-playground/locales/de"
	"github.com/go-playground/locales/de_AT"
	"github.com/go-playground/locales/de_CH"
	"github.com/go-playground/locales/el"
	"github.com/go-playground/locales/en"
	"github.com/go-playground/locales/en_GB"
	"github.com/go-playground/locales/en_IE"
	"github.com/go-playground/locales/es"
	"github.com/go-playground/locales/et"
	"github.com/go-playground/locales/eu"
	"github.com/go-playground/locales/fi"
	"github.com/go-playground/locales/fr"
	"github.com/go-playground/locales/ga"
	"github.com/go-playground/locales/gl"
	"github.com/go-playground/locales/he"
	"github.com/go-playground/locales/hi"
	"github.com/go-playground/locales/hr"
	"github.com/go-playground/locales/hu"
	"github.com/go-playground/locales/id"
	"github.com/go-playground/locales/is"
	"github.com/go-playground/locales/it"
	"github.com/go-playground/locales/ja"
	"github.com/go-playground/locales/ko"
	"github.com/go-playground/locales/lt"
	"github.com/go-playground/locales/lv"
	"github.com/go-playground/locales/mk"
	"github.com/go-playground/locales/mt"
	"github.com/go-playground/locales/nb"
	"github.com/go-playground/locales/nl"
	"github.com/go-playground/locales/nn"
	"github.com/go-playground/locales/pl"
	"github.com/go-playground/locales/pt"
	"github.com/go-playground/locales/pt_PT"
	"github.com/go-playground/locales/ro"
	"github.com/go-playground/locales/ru"
	"github.com/go-playground/locales/sk"
	"github.com/go-playground/locales/sl"
	"github.com/go-playground/locales/sq"
	"github.com/go-playground/locales/sr"
	"github.com/go-playground/locales/sr_Latn"
	"github.com/go-playground/locales/sv"
	"github.com/go-playground/locales/tr"
	"github.com/go-playground/locales/uk"
	"github.com/go-playground/locales/vi"
	"github.com/go-playground/locales/zh"
	"github.com/go-playground/locales/zh_Hant"
	"golang.org/x/text/language"
)

// dateLanguages are the languages whose names of months are built in: those of Europe and the big ones. In any other a date is
// written 2026-11-22.
var dateLanguages = map[string]func() locales.Translator{
	"ar":      ar.New,
	"bg":      bg.New,
	"bs":      bs.New,
	"ca":      ca.New,
	"cs":      cs.New,
	"cy":      cy.New,
	"da":      da.New,
	"de":      de.New,
	"de-AT":   de_AT.New,
	"de-CH":   de_CH.New,
	"el":      el.New,
	"en":      en.New,
	"en-GB":   en_GB.New,
	"en-001":  en_GB.New,
	"en-IE":   en_IE.New,
	"es":      es.New,
	"et":      et.New,
	"eu":      eu.New,
	"fi":      fi.New,
	"fr":      fr.New,
	"ga":      ga.New,
	"gl":      gl.New,
	"he":      he.New,
	"hi":      hi.New,
	"hr":      hr.New,
	"hu":      hu.New,
	"id":      id.New,
	"is":      is.New,
	"it":      it.New,
	"ja":      ja.New,
	"ko":      ko.New,
	"lt":      lt.New,
	"lv":      lv.New,
	"mk":      mk.New,
	"mt":      mt.New,
	"nb":      nb.New,
	"nl":      nl.New,
	"nn":      nn.New,
	"pl":      pl.New,
	"pt":      pt.New,
	"pt-PT":   pt_PT.New,
	"ro":      ro.New,
	"ru":      ru.New,
	"sk":      sk.New,
	"sl":      sl.New,
	"sq":      sq.New,
	"sr":      sr.New,
	"sr-Latn": sr_Latn.New,
	"sv":      sv.New,
	"tr":      tr.New,
	"uk":      uk.New,
	"vi":      vi.New,
	"zh":      zh.New,
	"zh-Hant": zh_Hant.New,
}

// datesOf walks from the language to its parents: pt-AO, pt-PT.
func datesOf(tag language.Tag) locales.Translator {
	for ; tag != language.Und; tag = tag.Parent() {
		if make, ok := dateLanguages[tag.String()]; ok {
			return make()
		}
	}
	return nil
}

// date writes a day as short (22. 11. 2026), medium, long (22. novembra 2026) or full (with the day of the week).
func (l *locale) date(t time.Time, style string) (string, error) {
	if l.dates == nil {
		return t.Format(time.DateOnly), nil
	}
	switch style {
	case "short":
		return l.dates.FmtDateShort(t), nil
	case "medium":
		return l.dates.FmtDateMedium(t), nil
	case "long":
		return l.dates.FmtDateLong(t), nil
	case "full":
		// The Finnish pattern of locales 0.14.1 holds a letter that it does not know.
		return strings.Replace(l.dates.FmtDateFull(t), "cccc", l.dates.WeekdayWide(t.Weekday()), 1), nil
	}
	return "", fmt.Errorf("%q is no style of a date: short, medium, long or full", style)
}

// clock writes a time of day without seconds.
func (l *locale) clock(t time.Time) string {
	if l.dates == nil {
		return t.Format("15:04")
	}
	text := l.dates.FmtTimeShort(t)
	if t.Hour() == 0 && !strings.Contains(l.dates.FmtTimeShort(t.Add(13*time.Hour)), "13") {
		return strings.Replace(l.dates.FmtTimeShort(t.Add(time.Hour)), "1", "12", 1) // locales 0.14.1 writes 0:30 am
	}
	return text
}

// The forms in which a point in time may stand in params. Those without a zone are the wall's time, and stay as they are.
var (
	zonedForms = []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02 15:04:05 -0700"}
	wallForms  = []string{time.DateOnly, time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04"}
)

// toTime reads a date or time. A point in time is shown in the company's zone.
func toTime(v any, zone *time.Location) (time.Time, error) {
	switch v := v.(type) {
	case time.Time:
		return v.In(zone), nil
	case wallTime:
		return time.Time(v), nil
	case string:
		s := strings.TrimSpace(v)
		for _, form := range wallForms {
			if t, err := time.Parse(form, s); err == nil {
				return t, nil
			}
		}
		for _, form := range zonedForms {
			if t, err := time.Parse(form, s); err == nil {
				return t.In(zone), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%s is no date: write it as 2026-11-22, or 2026-11-22 08:30:00", show(v))
}

// wallTime is a date or time of a query's result that has no zone: it is shown as it is, not moved to a zone.
type wallTime time.Time

// String makes a bare {{.due}} print what the database shows.
func (w wallTime) String() string {
	t := time.Time(w)
	if t.Hour() == 0 && t.Minute() == 0 && t.Second() == 0 && t.Nanosecond() == 0 {
		return t.Format(time.DateOnly)
	}
	return t.Format("2006-01-02 15:04:05.999999")
}
