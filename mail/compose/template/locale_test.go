package template

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
)

// plain makes what keeps number and unit together visible.
var visible = strings.NewReplacer("\u00a0", "_", "\u202f", "_")

// How languages write an amount, a negative one, a percentage and a day in its three lengths.
func TestLanguagesOfNumbers(t *testing.T) {
	amount, _ := parseDecimal("1234567.5")
	negative, _ := parseDecimal("-0.07")
	day := time.Date(2026, 3, 5, 14, 7, 0, 0, time.UTC)
	for tag, want := range map[string]string{
		"en":    "€1,234,567.50|-€0.07|-7%|3/5/26|Mar 5, 2026|March 5, 2026|2:07 pm",
		"en-GB": "€1,234,567.50|-€0.07|-7%|05/03/2026|5 Mar 2026|5 March 2026|14:07",
		"en-AU": "EUR_1,234,567.50|-EUR_0.07|-7%|05/03/2026|5 Mar 2026|5 March 2026|14:07",
		"en-IN": "€12,34,567.50|-€0.07|-7%|05/03/2026|5 Mar 2026|5 March 2026|14:07",
		"sk":    "1_234_567,50_€|-0,07_€|-7_%|5. 3. 2026|5. 3. 2026|5. marca 2026|14:07",
		"cs":    "1_234_567,50_€|-0,07_€|-7_%|05.03.26|5. 3. 2026|5. března 2026|14:07",
		"de":    "1.234.567,50_€|-0,07_€|-7_%|05.03.26|05.03.2026|5. März 2026|14:07",
		"de-AT": "€_1_234_567,50|-€_0,07|-7_%|05.03.26|05.03.2026|5. März 2026|14:07",
		"de-CH": "EUR_1’234’567.50|EUR_-0.07|-7%|05.03.26|05.03.2026|5. März 2026|14:07",
		"fr":    "1_234_567,50_€|-0,07_€|-7_%|05/03/2026|5 mars 2026|5 mars 2026|14:07",
		"it":    "1.234.567,50_€|-0,07_€|-7%|05/03/26|5 mar 2026|5 marzo 2026|14:07",
		"es":    "1.234.567,50_€|-0,07_€|-7_%|5/3/26|5 mar. 2026|5 de marzo de 2026|14:07",
		"pl":    "1_234_567,50_€|-0,07_€|-7%|05.03.2026|5 mar 2026|5 marca 2026|14:07",
		"hu":    "1_234_567,50_EUR|-0,07_EUR|-7%|2026. 03. 05.|2026. márc. 5.|2026. március 5.|14:07",
		"nl":    "€_1.234.567,50|€_-0,07|-7%|05-03-2026|5 mrt. 2026|5 maart 2026|14:07",
		"sv":    "1_234_567,50_€|−0,07_€|−7_%|2026-03-05|5 mars 2026|5 mars 2026|14:07",
		"fi":    "1_234_567,50_€|−0,07_€|−7_%|5.3.2026|5.3.2026|5. maaliskuuta 2026|14.07",
		"pt-BR": "€_1.234.567,50|-€_0,07|-7%|05/03/2026|5 de mar. de 2026|5 de março de 2026|14:07",
		"pt-PT": "1_234_567,50_€|-0,07_€|-7%|05/03/26|05/03/2026|5 de março de 2026|14:07",
		"uk":    "1_234_567,50_EUR|-0,07_EUR|-7%|05.03.26|5 бер. 2026 р.|5 березня 2026 р.|14:07",
		"ja":    "€1,234,567.50|-€0.07|-7%|2026/03/05|2026/03/05|2026年3月5日|14:07",
		"tr":    "€1.234.567,50|-€0,07|-%7|5.03.2026|5 Mar 2026|5 Mart 2026|14:07",
		"zu":    "1,234,567.50_€|-0.07_€|-7%|2026-03-05|2026-03-05|2026-03-05|14:07", // has no dates of its own
	} {
		l := newLocale(language.MustParse(tag))
		u, _ := l.unit("EUR")
		got := []string{l.amount(amount.round(u.decimals), u.symbol), l.amount(negative.round(u.decimals), u.symbol), l.percent(negative.shift(2).trim())}
		for _, style := range []string{"short", "medium", "long"} {
			text, err := l.date(day, style)
			if err != nil {
				t.Error(err)
			}
			got = append(got, text)
		}
		if text := visible.Replace(strings.Join(append(got, l.clock(day)), "|")); text != want {
			t.Errorf("%s: %s, not\n    %s", tag, text, want)
		}
	}
}

// Every built-in language writes each month and day of the week in letters or digits that are there.
func TestDatesOfAllLanguages(t *testing.T) {
	for name := range dateLanguages {
		l := newLocale(language.MustParse(name))
		for month := time.January; month <= time.December; month++ {
			for day := 1; day <= 28; day++ {
				when := time.Date(2026, month, day, day%24, 5, 0, 0, time.UTC)
				for _, style := range []string{"short", "medium", "long", "full"} {
					text, err := l.date(when, style)
					if err != nil || !strings.Contains(text, "26") || strings.Contains(text, "%") || strings.Contains(text, "ccc") {
						t.Fatalf("%s %s %s: %q, %v", name, style, when, text, err)
					}
				}
				if text := l.clock(when); !strings.Contains(text, "05") {
					t.Fatalf("%s: %q", name, text)
				}
			}
		}
	}
}

func TestClockOfTwelveHours(t *testing.T) {
	l := newLocale(language.English)
	for hour, want := range map[int]string{0: "12:05 am", 1: "1:05 am", 11: "11:05 am", 12: "12:05 pm", 13: "1:05 pm", 23: "11:05 pm"} {
		if got := l.clock(time.Date(2026, 3, 5, hour, 5, 0, 0, time.UTC)); got != want {
			t.Errorf("%d: %q, not %q", hour, got, want)
		}
	}
}

func TestCurrencies(t *testing.T) {
	l := newLocale(language.English)
	for code, want := range map[string]string{
		"USD": "$1,234.57", "GBP": "£1,234.57", "JPY": "¥1,235", "KWD": "KWD_1,234.568", "CZK": "CZK_1,234.57", "HUF": "HUF_1,234.57", "VES": "VES_1,234.57",
		"eur": "", "EU": "", "XYQ": "", "": "", "EURO": "",
	} {
		u, ok := l.unit(code)
		d, _ := parseDecimal("1234.5675")
		if got := visible.Replace(l.amount(d.round(u.decimals), u.symbol)); ok != (want != "") || ok && got != want {
			t.Errorf("%s: %q, %v", code, got, ok)
		}
	}
}

// CLDR's categories, also of decimals and of numbers longer than a machine word.
func TestPlural(t *testing.T) {
	for _, c := range []struct{ tag, n, want string }{
		{"en", "1", "one"}, {"en", "1.0", "other"}, {"en", "0", "other"}, {"sk", "1", "one"}, {"sk", "3", "few"}, {"sk", "5", "other"}, {"sk", "1.5", "many"},
		{"pl", "22", "few"}, {"pl", "12", "many"}, {"ru", "21", "one"}, {"ru", "11", "many"}, {"ar", "2", "two"}, {"ar", "103", "few"}, {"ja", "1", "other"},
		{"ru", "123456789012345678901", "one"}, {"sk", "1000000000000000000001", "other"}, {"en", "10000001", "other"}, {"fr", "0", "one"},
	} {
		s := &state{locale: newLocale(language.MustParse(c.tag))}
		got, err := s.plural(Number(c.n), "zero", "zero", "one", "one", "two", "two", "few", "few", "many", "many", "other", "other")
		if err != nil || got != c.want {
			t.Errorf("%s in %s: %s, %v; not %s", c.n, c.tag, got, err, c.want)
		}
	}
	s := &state{locale: newLocale(language.English)}
	if got, _ := s.plural(Number("0"), "0", "none", "other", "%d"); got != "none" {
		t.Errorf("the exact number: %s", got)
	}
}
