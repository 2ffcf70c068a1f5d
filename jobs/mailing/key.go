package mailing

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"
)

// hash tells the mail of a line from those of others. Lines with the same key have the same.
type hash [16]byte

// hash is of the values of the key as texts; of the whole row where there is no key, or where a value of it is NULL: then nobody knows
// what the mail is about.
func (l *layout) hash(values []any, record []byte) (h hash) {
	all, known := l.keyTexts(values)
	var b []byte
	if known {
		b = append(b, 'k')
		for _, text := range all {
			b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
		}
	} else {
		b = append(append(b, 'r'), record...)
	}
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// identity is that of the n-th line with the hash, from 0: the same whenever the audience is read, in whatever order.
func (h hash) identity(n int) [16]byte {
	if n == 0 {
		return h
	}
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(h[:], uint64(n)))
	return [16]byte(sum[:16])
}

// keyTexts are the values of the key; not known without a key, or with a NULL in it.
func (l *layout) keyTexts(values []any) (all []string, known bool) {
	for _, i := range l.key {
		if values[i] == nil {
			return nil, false
		}
		text, _ := valueText(l.columns[i].Kind, values[i])
		all = append(all, text)
	}
	return all, len(all) > 0
}

const (
	keySeparator = " / "
	maxKey       = 200 // characters; outbox_key has 255
	hashDigits   = 16
)

// keyText is the key for people and for outbox_key. Two keys never have the same text there, for which spaces at the end are none: what
// could be taken for another ends with a hash.
func keyText(all []string, h hash) string {
	text := strings.Join(all, keySeparator)
	plain := utf8.ValidString(text) && utf8.RuneCountInString(text) <= maxKey && !strings.ContainsFunc(text, unicode.IsControl) &&
		strings.TrimRight(text, " ") == text && text != ""
	for _, one := range all {
		plain = plain && (len(all) == 1 || !strings.Contains(one, " /") && !strings.Contains(one, "/ "))
	}
	if plain {
		return text
	}
	text = strings.TrimRight(cut(oneLine(text), maxKey-hashDigits-2), " ")
	return strings.TrimLeft(text+" #"+hex.EncodeToString(h[:hashDigits/2]), " ")
}
