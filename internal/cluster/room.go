package cluster

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/stsbackup/stsbackup/internal/wait"
)

const (
	// quotaPatience is how long a quota may take to notice that what was deleted is gone.
	quotaPatience = 30 * time.Second
	// roomEvery is the pause between two attempts to create what a quota has no room for.
	roomEvery = time.Second
)

// whenRoom creates what a quota may have no room for right now: it still counts what was just deleted, or what others of the same
// operation use and will give back, which busy says. A quota into which it would never fit is not waited for.
func (c *Client) whenRoom(ctx context.Context, busy func() bool, create func() error) error {
	full := c.now() // since when nobody gives anything back
	sayer := c.sayer(0)
	for {
		err := create()
		if !isQuotaFull(err) {
			return err
		}
		if busy != nil && busy() {
			full = c.now()
		}
		if c.now().Sub(full) >= quotaPatience {
			return err
		}
		sayer.say(err.Error)
		if wait.For(ctx, roomEvery) != nil {
			return err
		}
	}
}

// isQuotaFull reports whether something was not created because a quota has no room for it as things are now.
func isQuotaFull(err error) bool {
	return apierrors.IsForbidden(err) && quotaFull(err.Error())
}

// quotaFull is isQuotaFull by what the API server says.
func quotaFull(message string) bool {
	return strings.Contains(message, "exceeded quota: ") && !neverFits(message)
}

// neverFits reports whether a quota allows less than what was asked for, whatever others use.
func neverFits(message string) bool {
	_, text, found := strings.Cut(message, ", limited: ")
	if !found {
		return false
	}
	_, requested := exceededQuota(message)
	for name, limit := range quotaAmounts(text) {
		if amount, asked := requested[name]; asked && amount.Cmp(limit) > 0 {
			return true
		}
	}
	return false
}

// quotaAmounts reads "RESOURCE=AMOUNT,…"; nil if it is not that.
func quotaAmounts(text string) corev1.ResourceList {
	amounts := corev1.ResourceList{}
	for part := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(part, "=")
		amount, err := resource.ParseQuantity(value)
		if err != nil {
			return nil
		}
		amounts[corev1.ResourceName(key)] = amount
	}
	return amounts
}

// mayPass reports whether what the API server says of an object that it would not create may be otherwise soon: a quota has room
// again, a webhook answers, the API server has read its rules.
func mayPass(message string) bool {
	return quotaFull(message) || strings.Contains(message, "not yet ready") || strings.Contains(message, "failed calling webhook")
}
