package sendercheck

import (
	"slices"
	"strings"
)

const softfailAll = "~all"

// newSPF makes a record.
func newSPF(terms []string) string {
	return strings.Join(slices.Concat([]string{spfVersion}, terms, []string{softfailAll}), " ")
}

// isAll tells whether a word of a record is all, with any qualifier.
func isAll(word string) bool {
	return strings.EqualFold(strings.TrimLeft(word, "+-~?"), spfAll)
}

func isRedirect(word string) bool {
	return strings.HasPrefix(strings.ToLower(word), spfRedirect+"=")
}

// withTerms is a record with further terms before its ending: before all, or where there is none before the modifiers.
func withTerms(text string, terms []string) string {
	words := strings.Fields(text)
	at := slices.IndexFunc(words, isAll)
	if at < 0 {
		at = slices.IndexFunc(words[1:], modifierForm.MatchString) + 1
	}
	if at <= 0 {
		at = len(words)
	}
	return strings.Join(slices.Insert(words, at, terms...), " ")
}

// withoutTerms is a record without some terms, and with others.
func withoutTerms(text string, without, with []string) string {
	words := strings.Fields(text)
	kept := slices.DeleteFunc(slices.Clone(words[1:]), func(w string) bool { return slices.Contains(without, w) })
	return withTerms(strings.Join(append(words[:1], kept...), " "), with)
}

// endedSPF is a record that ends with ~all.
func endedSPF(text string) string {
	words := strings.Fields(text)
	if at := slices.IndexFunc(words, isAll); at >= 0 {
		words[at] = softfailAll
		return strings.Join(words, " ")
	}
	return withTerms(text, []string{softfailAll})
}

// mergedSPF is one record in place of several: all their mechanisms, and the softest of their endings but none softer than ~all.
// It is empty when one of them cannot be read.
func mergedSPF(texts, missing []string) string {
	var terms, modifiers []string
	ending := "-all"
	for _, text := range texts {
		if _, err := parseSPF(text); err != nil {
			return ""
		}
		strict := false
		for _, word := range strings.Fields(text)[1:] {
			switch {
			case isAll(word):
				strict = word[0] == '-'
			case modifierForm.MatchString(word):
				if isRedirect(word) {
					terms = appendNew(terms, spfInclude+":"+word[len(spfRedirect)+1:])
					continue
				}
				modifiers = appendNew(modifiers, word)
			default:
				terms = appendNew(terms, word)
			}
		}
		if !strict {
			ending = softfailAll
		}
	}
	for _, term := range missing {
		terms = appendNew(terms, term)
	}
	return strings.Join(slices.Concat([]string{spfVersion}, terms, []string{ending}, modifiers), " ")
}

func appendNew(list []string, word string) []string {
	if slices.ContainsFunc(list, func(w string) bool { return strings.EqualFold(w, word) }) {
		return list
	}
	return append(list, word)
}
