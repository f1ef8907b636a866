package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ordinalsFlag is --ordinals: numbers of ordinals with commas between them.
type ordinalsFlag []int32

// String, Set and Type make an ordinalsFlag a pflag.Value.
func (f *ordinalsFlag) String() string {
	texts := make([]string, len(*f))
	for i, ordinal := range *f {
		texts[i] = strconv.Itoa(int(ordinal))
	}
	return strings.Join(texts, ",")
}

// Set reads ordinals, and adds those that are not there yet.
func (f *ordinalsFlag) Set(s string) error {
	for text := range strings.SplitSeq(s, ",") {
		ordinal, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
		if err != nil || ordinal < 0 {
			return fmt.Errorf("%.40q is not an ordinal; write for example 0 or 0,2", text)
		}
		if !slices.Contains(*f, int32(ordinal)) {
			*f = append(*f, int32(ordinal))
		}
	}
	return nil
}

// Type names what the flag takes.
func (f *ordinalsFlag) Type() string { return "ordinals" }
