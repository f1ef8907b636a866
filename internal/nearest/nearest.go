// Package nearest finds the name that a user meant by a name that does not exist: the known name that is the
// fewest insertions, removals and replacements of characters away.
package nearest

import "strings"

// Distance is the Levenshtein distance of two names, in bytes.
func Distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// longest bounds the names to compare: no known name is longer.
const longest = 253

// Name returns the known name that is nearest to a word, ignoring case, hyphens and underscores; "" if none is
// near enough to have been meant.
func Name(word string, known []string) string {
	if len(word) > longest {
		return ""
	}
	plain := strings.NewReplacer("-", "", "_", "")
	word = plain.Replace(strings.ToLower(word))
	best, least := "", max(2, len(word)/3)+1
	for _, name := range known {
		candidate := plain.Replace(strings.ToLower(name))
		distance := Distance(word, candidate)
		if distance >= max(len(word), len(candidate)) {
			continue // they have nothing in common
		}
		if distance < least {
			best, least = name, distance
		}
	}
	return best
}
