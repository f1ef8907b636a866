//go:build !purego

package sha256pair

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestAcceleratedWhereItCanBe asks the kernel what the processor can do: if accelerated were wrongly false, all other
// tests would pass without a single block going through the assembly.
func TestAcceleratedWhereItCanBe(t *testing.T) {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^flags\s*:(.*)$`).FindSubmatch(info)
	if line == nil {
		t.Fatal("/proc/cpuinfo names no flags")
	}
	known := map[string]bool{}
	for _, flag := range strings.Fields(string(line[1])) {
		known[flag] = true
	}
	if want := known["sha_ni"] && known["ssse3"] && known["sse4_1"]; accelerated() != want {
		t.Errorf(
			"accelerated() is %v; the kernel says sha_ni %v, ssse3 %v, sse4_1 %v",
			accelerated(),
			known["sha_ni"],
			known["ssse3"],
			known["sse4_1"],
		)
	}
	if _, tried := makers(t)["accelerated"]; tried != accelerated() {
		t.Errorf("the tests try the assembly: %v", tried)
	}
	if !accelerated() {
		t.Log("the assembly cannot be tested on this processor")
	}
	if New().standard == nil != accelerated() {
		t.Errorf("New goes through the assembly: %v", New().standard == nil)
	}
}
