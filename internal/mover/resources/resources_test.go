package resources

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// amountsOf writes a list of resources in the form that the flags take.
func amountsOf(list corev1.ResourceList) string {
	amounts := Amounts{}
	for name, amount := range list {
		amounts[string(name)] = amount
	}
	return amounts.String()
}

func TestRequirements(t *testing.T) {
	for name, tt := range map[string]struct {
		requests, limits         string
		wantRequests, wantLimits string
		wantErr                  string
	}{
		"defaults":                {wantRequests: "cpu=100m,memory=128Mi", wantLimits: "memory=1Gi"},
		"one of each":             {"cpu=1", "cpu=2", "cpu=1,memory=128Mi", "cpu=2,memory=1Gi", ""},
		"a lower limit":           {"", "memory=64Mi", "cpu=100m,memory=64Mi", "memory=64Mi", ""},
		"a higher request":        {"memory=4Gi", "", "cpu=100m,memory=4Gi", "memory=4Gi", ""},
		"none":                    {"cpu=0,memory=0", "memory=0", "", "", ""},
		"a request without limit": {"memory=4Gi", "memory=0", "cpu=100m,memory=4Gi", "", ""},
		"another resource": {
			"ephemeral-storage=1Gi", "ephemeral-storage=2Gi", "cpu=100m,ephemeral-storage=1Gi,memory=128Mi",
			"ephemeral-storage=2Gi,memory=1Gi", "",
		},
		"a request above its limit":  {"memory=2Gi", "memory=1Gi", "", "", "more than their limit of 1Gi"},
		"an unknown resource":        {"gpu=1", "", "", "", "names none of cpu, memory, ephemeral-storage"},
		"no amount":                  {"cpu", "", "", "", "is not an amount of cpu"},
		"a word":                     {"", "memory=much", "", "", "is not an amount of memory"},
		"less than nothing":          {"cpu=-1", "", "", "", "is not an amount of cpu"},
		"an empty part after others": {"cpu=1,", "", "", "", "names none of"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests, limits Amounts
			var err error
			for _, flag := range []struct {
				amounts *Amounts
				text    string
			}{{&requests, tt.requests}, {&limits, tt.limits}} {
				if flag.text != "" && err == nil {
					err = flag.amounts.Set(flag.text)
				}
			}
			var got corev1.ResourceRequirements
			if err == nil {
				got, err = Requirements(requests, limits)
			}
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Errorf("error %v, want one that says %q", err, tt.wantErr)
				}
				return
			}
			if r, l := amountsOf(got.Requests), amountsOf(got.Limits); err != nil || r != tt.wantRequests || l != tt.wantLimits {
				t.Errorf("requests %s, limits %s, %v; want %s and %s", r, l, err, tt.wantRequests, tt.wantLimits)
			}
		})
	}
}

// TestAmountsOfAPolicy: what the policy names overrides the flags.
func TestAmountsOfAPolicy(t *testing.T) {
	var flags, policy Amounts
	if err := flags.Set("cpu=1,memory=1Gi"); err != nil {
		t.Fatal(err)
	}
	if err := policy.Set("memory=2Gi"); err != nil {
		t.Fatal(err)
	}
	both := flags.With(policy)
	if both.String() != "cpu=1,memory=2Gi" || flags.String() != "cpu=1,memory=1Gi" {
		t.Errorf("both %s, flags %s", both.String(), flags.String())
	}
}
