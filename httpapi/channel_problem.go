package httpapi

import (
	"errors"
	"net/http"

	"github.com/aimarket/aimarket/ledger"
	"github.com/aimarket/aimarket/routing"
)

// channelStatus maps the ledger's refusals of channel routes to statuses; any
// other is the 400 of the payments contract §4.
var channelStatus = map[ledger.Kind]int{
	ledger.KindUnknownChannel: http.StatusNotFound,
	ledger.KindUnknownDebt:    http.StatusNotFound,
	ledger.KindAlreadyPaid:    http.StatusConflict,
	ledger.KindMoneyOff:       http.StatusServiceUnavailable,
	ledger.KindBusy:           http.StatusServiceUnavailable,
	ledger.KindConflict:       http.StatusServiceUnavailable,
	ledger.KindStorage:        http.StatusServiceUnavailable,
	ledger.KindCorrupt:        http.StatusInternalServerError,
	ledger.KindOverflow:       http.StatusInternalServerError,
	ledger.KindNotFound:       http.StatusInternalServerError,
}

// channelProblem words what the ledger refused. Its text is the protocol's.
func channelProblem(err error) *problem {
	var e *ledger.Error
	if !errors.As(err, &e) {
		return internalError(err).as(formChannel)
	}
	status, ok := channelStatus[e.Kind]
	if !ok {
		status = http.StatusBadRequest
	}
	if status == http.StatusInternalServerError {
		return internalError(err).as(formChannel)
	}
	p := refuse(status, string(e.Kind), e.Error()).as(formChannel)
	p.wait = e.RetryAfter
	if e.Challenge != "" {
		p.fields = append(p.fields, routing.Field{Name: "challenge", Value: appendQuoted(nil, e.Challenge)})
	}
	return p
}
