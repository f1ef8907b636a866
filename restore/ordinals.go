package restore

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ParseOrdinals reads ordinals separated by commas, such as 0,2. The result holds each ordinal once, in the
// order of the text.
func ParseOrdinals(text string) ([]int32, error) {
	var ordinals []int32
	for part := range strings.SplitSeq(text, ",") {
		ordinal, err := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if err != nil || ordinal < 0 {
			return nil, fmt.Errorf("%.40q is not an ordinal; write for example 0 or 0,2", part)
		}
		if !slices.Contains(ordinals, int32(ordinal)) {
			ordinals = append(ordinals, int32(ordinal))
		}
	}
	return ordinals, nil
}

// OrdinalsText writes ordinals in the form that ParseOrdinals reads.
func OrdinalsText(ordinals []int32) string {
	texts := make([]string, len(ordinals))
	for i, ordinal := range ordinals {
		texts[i] = strconv.Itoa(int(ordinal))
	}
	return strings.Join(texts, ",")
}
