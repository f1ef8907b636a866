package share

import (
	"strconv"
	"strings"
)

// Parse reads a share such as 5% or 100%, as more than 0 and at most 1; ok is false if the text is not a share.
func Parse(text string) (share float64, ok bool) {
	number, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(number, 64)
	if !percent || err != nil || !(value > 0 && value <= 100) { // NaN is in no range
		return 0, false
	}
	return value / 100, true
}

// Format writes a share in the form that Parse reads.
func Format(share float64) string {
	return strconv.FormatFloat(share*100, 'f', -1, 64) + "%"
}
