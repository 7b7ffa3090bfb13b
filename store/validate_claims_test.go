package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/evolvego/evolve/store"
)

// keys returns n claims with different keys.
func keys(n int) []store.Claim {
	claims := make([]store.Claim, n)
	for i := range claims {
		claims[i] = store.Claim{Key: fmt.Sprint("k-", i), Release: i%2 == 1}
	}
	return claims
}

func TestValidateClaims(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		claims []store.Claim
		field  string // "" if the claims are valid
	}{
		"none":               {nil, ""},
		"the most":           {keys(store.MaxClaims), ""},
		"the longest key":    {[]store.Claim{{Key: strings.Repeat("x", store.MaxName)}}, ""},
		"too many":           {keys(store.MaxClaims + 1), "claims"},
		"an empty key":       {[]store.Claim{{Key: "k"}, {}}, "claims[1].key"},
		"a NUL":              {[]store.Claim{{Key: "a\x00"}}, "claims[0].key"},
		"not UTF-8":          {[]store.Claim{{Key: "\xff"}}, "claims[0].key"},
		"too long":           {[]store.Claim{{Key: strings.Repeat("x", store.MaxName+1)}}, "claims[0].key"},
		"twice":              {[]store.Claim{{Key: "k"}, {Key: "l"}, {Key: "k"}}, "claims[2].key"},
		"taken and released": {[]store.Claim{{Key: "k"}, {Key: "k", Release: true}}, "claims[1].key"},
	} {
		if err := store.ValidateClaims(tt.claims); !about(err, tt.field) {
			t.Errorf("ValidateClaims, %s: %v, want an error about %q", name, err, tt.field)
		}
	}
	if err := store.ValidateKey(""); !about(err, "key") {
		t.Errorf("ValidateKey of an empty key: %v", err)
	}
	if err := store.ValidateKey("k"); err != nil {
		t.Errorf("ValidateKey(k): %v", err)
	}
}

func TestValidateLease(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		name, owner string
		ttl         time.Duration
		field       string // "" if the lease is valid
	}{
		"valid":    {"reader", "a", 1, ""},
		"no name":  {"", "a", 1, "name"},
		"no owner": {"reader", "", 1, "owner"},
		"bad name": {"\x00", "a", 1, "name"},
		"no ttl":   {"reader", "a", 0, "ttl"},
		"ttl < 0":  {"reader", "a", -1, "ttl"},
	} {
		if err := store.ValidateLease(tt.name, tt.owner, tt.ttl); !about(err, tt.field) {
			t.Errorf("ValidateLease, %s: %v, want an error about %q", name, err, tt.field)
		}
	}
}

// about reports whether err is an *InvalidError about field, or nil if field is empty.
func about(err error, field string) bool {
	var invalid *store.InvalidError
	if field == "" {
		return err == nil
	}
	return errors.As(err, &invalid) && invalid.Field == field
}
