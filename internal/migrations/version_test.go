package migrations

import "testing"

func TestVersionsInOrder(t *testing.T) {
	ordered := []Version{"", "0", "1", "1.2", "1.10", "2", "10", "20240131120000", "99999999999999999999999999", "R__1_base", "R__10_report", "R__a", "R__b"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			switch {
			case i < j:
				want = -1
			case i > j:
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%q.Compare(%q) = %d, want %d", a, b, got, want)
			}
		}
	}
	for _, pair := range [][2]Version{{"1", "1.0"}, {"1.0.0", "1.0"}, {"007", "7"}} {
		if pair[0].Compare(pair[1]) != 0 {
			t.Errorf("%q and %q differ", pair[0], pair[1])
		}
	}
}

func TestNormalVersion(t *testing.T) {
	for text, want := range map[string]Version{"0007": "7", "0": "0", "000": "0", "1_02": "1.2", "1.010_3": "1.10.3"} {
		if got := normalVersion(text, "._"); got != want {
			t.Errorf("normalVersion(%q) = %q, want %q", text, got, want)
		}
	}
}
