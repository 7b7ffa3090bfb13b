package listowners_test

import (
	"testing"

	"github.com/evolvego/evolve/examples/slices/contexts/accounts"
	"github.com/evolvego/evolve/examples/slices/contexts/reports/internal/listowners"
)

func TestListOwners(t *testing.T) {
	t.Parallel()
	view := listowners.View()
	got := view.Fold(view.Start(), accounts.Opened{Owner: "owner"})
	if want := (listowners.Entry{Owner: "owner"}); got != want {
		t.Errorf("the entry is %+v, want %+v", got, want)
	}
}
