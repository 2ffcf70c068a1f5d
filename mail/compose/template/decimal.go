package template

import (
	"math/big"
	"reflect"
	"strconv"
	"strings"
)

// maxDigits bounds the length and the exponent of a number: 1e999999999 is nine letters and would fill the memory.
const maxDigits = 500

// decimal is an exact number: digits times ten to the power of minus scale. The digits have no zeros in front, those of
// zero are empty. The scale is the number of decimals that were written: 0.10 has two.
type decimal struct {
	negative bool
	digits   string
	scale    int
}

// parseDecimal reads a number as JSON and SQL write it: -12.50, 1e3.
func parseDecimal(s string) (decimal, bool) {
	var d decimal
	s, d.negative = strings.CutPrefix(s, "-")
	mantissa, exponent, scientific := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	if len(mantissa) > maxDigits || whole+fraction == "" || !allDigits(whole) || !allDigits(fraction) {
		return decimal{}, false
	}
	d.digits, d.scale = whole+fraction, len(fraction)
	if scientific {
		n, err := strconv.Atoi(exponent)
		if err != nil || n < -maxDigits || n > maxDigits {
			return decimal{}, false
		}
		d = d.shift(n)
	}
	return d.normal(), true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// normal drops zeros in front, and the sign of zero.
func (d decimal) normal() decimal {
	d.digits = strings.TrimLeft(d.digits, "0")
	d.negative = d.negative && d.digits != ""
	return d
}

// shift multiplies by ten to the power of n.
func (d decimal) shift(n int) decimal {
	d.scale -= n
	if d.scale < 0 {
		d.digits += strings.Repeat("0", -d.scale)
		d.scale = 0
	}
	return d.normal()
}

// round keeps that many decimals, the half away from zero, as commerce does; missing ones are filled with zeros.
func (d decimal) round(scale int) decimal {
	drop := d.scale - scale
	d.scale = scale
	switch {
	case drop <= 0:
		d.digits += strings.Repeat("0", -drop)
	case drop > len(d.digits):
		d.digits = ""
	default:
		keep := len(d.digits) - drop
		up := d.digits[keep] >= '5'
		d.digits = d.digits[:keep]
		if up {
			d.digits = increment(d.digits)
		}
	}
	return d.normal()
}

// increment adds one to a whole number without a sign.
func increment(digits string) string {
	b := []byte(digits)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] != '9' {
			b[i]++
			return string(b)
		}
		b[i] = '0'
	}
	return "1" + string(b)
}

// trim drops the zeros at the end of the decimals.
func (d decimal) trim() decimal {
	if d.digits == "" {
		return decimal{}
	}
	for d.scale > 0 && d.digits[len(d.digits)-1] == '0' {
		d.digits, d.scale = d.digits[:len(d.digits)-1], d.scale-1
	}
	return d
}

// split returns what stands before and after the decimal point, the first never empty.
func (d decimal) split() (whole, fraction string) {
	digits := d.digits
	if missing := d.scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return digits[:len(digits)-d.scale], digits[len(digits)-d.scale:]
}

// String writes the number as JSON and SQL read it, without an exponent.
func (d decimal) String() string {
	whole, fraction := d.split()
	if fraction != "" {
		whole += "." + fraction
	}
	if d.negative {
		return "-" + whole
	}
	return whole
}

func (d decimal) coefficient() *big.Int {
	n, _ := new(big.Int).SetString("0"+d.digits, 10)
	if d.negative {
		n.Neg(n)
	}
	return n
}

// add keeps the decimals of the more exact one.
func (d decimal) add(e decimal) decimal {
	scale := max(d.scale, e.scale)
	sum := d.round(scale).coefficient()
	sum.Add(sum, e.round(scale).coefficient())
	return decimal{sum.Sign() < 0, new(big.Int).Abs(sum).String(), scale}.normal()
}

// compare returns -1, 0 or 1.
func (d decimal) compare(e decimal) int {
	if d.negative != e.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	scale := max(d.scale, e.scale)
	a, b := d.round(scale).digits, e.round(scale).digits
	c := len(a) - len(b)
	if c == 0 {
		c = strings.Compare(a, b)
	}
	if d.negative {
		c = -c
	}
	return min(1, max(-1, c))
}

// toDecimal takes whatever is a number or a text that is one. number says that the value's type is that of one.
func toDecimal(v any) (d decimal, number, ok bool) {
	switch v := v.(type) {
	case Number:
		d, ok = parseDecimal(string(v))
		return d, true, ok
	case int:
		d, ok = parseDecimal(strconv.Itoa(v))
		return d, true, ok
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		d, ok = parseDecimal(strconv.FormatInt(r.Int(), 10))
		return d, true, ok
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		d, ok = parseDecimal(strconv.FormatUint(r.Uint(), 10))
		return d, true, ok
	case reflect.Float32, reflect.Float64:
		d, ok = parseDecimal(strconv.FormatFloat(r.Float(), 'f', -1, r.Type().Bits()))
		return d, true, ok
	case reflect.String:
		d, ok = parseDecimal(strings.TrimSpace(r.String()))
		return d, false, ok
	}
	return decimal{}, false, false
}
