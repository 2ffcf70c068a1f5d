package template

import (
	"fmt"
	"strings"
	gotime "time"
)

// equal reports whether the first value is one of the others. Numbers compare by value, however they are written, with
// each other and with texts that are numbers; two texts compare as texts.
func equal(a any, others ...any) (bool, error) {
	if len(others) == 0 {
		return false, fmt.Errorf("eq compares at least two values")
	}
	for _, b := range others {
		if same, err := same(a, b); same || err != nil {
			return same, err
		}
	}
	return false, nil
}

func unequal(a, b any) (bool, error) {
	same, err := same(a, b)
	return !same, err
}

func same(a, b any) (bool, error) {
	if isMissing(a) || isMissing(b) {
		return isMissing(a) && isMissing(b), nil
	}
	x, xNumber, xOK := toDecimal(a)
	y, yNumber, yOK := toDecimal(b)
	if xNumber || yNumber {
		return xOK && yOK && x.compare(y) == 0, nil
	}
	switch a := a.(type) {
	case bool:
		other, ok := b.(bool)
		return ok && a == other, nil
	case string:
		return a == fmt.Sprint(b), nil
	}
	if _, ok := b.(string); ok {
		return fmt.Sprint(a) == b, nil
	}
	c, err := compare(a, b)
	return c == 0, err
}

// ordered makes lt, le, gt or ge of a test.
func ordered(test func(c int) bool) func(a, b any) (bool, error) {
	return func(a, b any) (bool, error) {
		if err := firstMissing([]any{a, b}); err != nil {
			return false, err
		}
		c, err := compare(a, b)
		return test(c), err
	}
}

// compare orders numbers, texts that are numbers, points in time, and other texts by their characters (which is right for dates as
// 2026-11-22).
func compare(a, b any) (int, error) {
	x, xNumber, xOK := toDecimal(a)
	y, yNumber, yOK := toDecimal(b)
	if xOK && yOK {
		return x.compare(y), nil
	}
	if !xNumber && !yNumber {
		switch a := a.(type) {
		case gotime.Time:
			if b, ok := b.(gotime.Time); ok {
				return a.Compare(b), nil
			}
		case string, wallTime:
			switch b.(type) {
			case string, wallTime:
				return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)), nil
			}
		}
	}
	return 0, fmt.Errorf("%s and %s cannot be compared", show(a), show(b))
}
