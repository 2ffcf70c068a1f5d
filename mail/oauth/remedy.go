package oauth

import (
	"regexp"
	"slices"
)

// What a person should do, one text a cause. NAME stands for the account's name.
const (
	again = "sign in with `outboxd account login NAME`"

	remedyNone        = "Somebody has to " + again + " on this computer; each computer that runs outboxd signs in for itself. The mail waits and goes by itself then."
	remedyOther       = "The account's username, client_id, token_url or scopes are not what they were at the last sign-in: " + again + ". The mail waits."
	remedyUnreadable  = "The file is damaged or not readable for the user that outboxd runs as. Mend its owner and mode, or remove it and " + again + "."
	remedyOver        = "The sign-in has ended: it was revoked, the password was changed, or it was not used for too long. Somebody has to " + again + ". If it ends after seven days at Google, the application's publishing status is \"Testing\": set it to \"In production\" first, or make the application internal."
	remedyDenied      = "The person, or a rule of the organisation, said no. Begin again with `outboxd account login NAME` and agree, or ask the administrator to allow the application."
	remedyLate        = "The code was not entered in time. Begin again with `outboxd account login NAME`."
	remedyApplication = "The application is set up otherwise at the provider than in jobs.yaml. Compare client_id, client_secret, tenant, scopes and addresses under the account's oauth with the registration there; docs/accounts.md has the steps."
	remedyServer      = "The provider's sign-in has trouble of its own. Nothing to do: outboxd asks again by itself. Look at the provider's status page if it lasts."
	remedyWay         = "Nothing to do if it passes. Else check this computer's DNS, clock and firewall, and that it may open https connections to that host; HTTPS_PROXY in the service's environment names a proxy."
	remedyNoRefresh   = "Without a refresh token the sign-in would end within the hour. Add the scope that grants one (offline_access with Microsoft and most others), then begin again with `outboxd account login NAME`."
	remedyStrange     = "Check device_url, authorize_url and token_url under the account's oauth."
	remedyNotKept     = "Make room or mend the rights in outboxd's state directory, then begin again with `outboxd account login NAME`."
	remedySecretEnds  = "Make a new secret at the provider, put it where client_secret points, correct secret_expires, then: systemctl reload outboxd."
	remedyEnds        = "Before that day, " + again + ". If it is seven days after the last sign-in at Google, the application's publishing status is \"Testing\": set it to \"In production\" first, or make the application internal."
	remedyUnused      = "Providers end one after 90 days (Microsoft) or six months (Google). See why it cannot be renewed: outboxd account test NAME."
	remedyUnsaved     = "Make room or mend the rights in outboxd's state directory; it is written with the next renewal."
	remedyPaste       = "Copy the whole address from the browser's address bar, beginning with " + redirect + ", after the provider has sent the browser there. That the page does not open is right."
	remedyStale       = "The address is of another, older sign-in. Open the address that was shown last, and copy what the browser ends at."
)

var aadsts = regexp.MustCompile(`AADSTS(\d{4,9})`)

// microsoftRemedies say what the codes of Microsoft Entra mean for a person, as learn.microsoft.com describes them.
var microsoftRemedies = []struct {
	codes  []string
	remedy string
}{
	{[]string{"7000222"}, "The application's client secret has ended. Make a new one in the app registration (entra.microsoft.com > App registrations > Certificates & secrets), put its value where client_secret points, correct secret_expires, then: systemctl reload outboxd."},
	{[]string{"7000215", "7000219"}, "The client secret is wrong. Put the secret's value, not its ID, where client_secret points, then: systemctl reload outboxd."},
	{[]string{"7000218"}, "The app registration does not allow sign-in without a secret. Set \"Allow public client flows\" to Yes (entra.microsoft.com > App registrations > Authentication), then begin again with `outboxd account login NAME`."},
	{[]string{"700016", "90002", "50059", "90072", "50020", "50034", "90130", "50194", "9001023", "500011"}, "The application or the user is not known in this tenant. Compare client_id and tenant under the account's oauth with the app registration: for an application of one organisation, tenant is that organisation's ID or domain; and sign in as a user of it."},
	{[]string{"7000112"}, "The application is switched off in the tenant. The administrator has to enable it (entra.microsoft.com > Enterprise applications > Properties)."},
	{[]string{"50105"}, "The user is not assigned to the application. The administrator has to assign the user (entra.microsoft.com > Enterprise applications > Users and groups)."},
	{[]string{"65001", "90094", "90095", "90008", "650057", "650056"}, "Nobody has consented to what the application asks for. The administrator has to add the delegated permission SMTP.Send and grant consent (entra.microsoft.com > App registrations > API permissions); then " + again + "."},
	{[]string{"65004"}, "The person declined the consent. Begin again with `outboxd account login NAME` and accept."},
	{[]string{"50072", "50074", "50076", "50078", "50079", "50158"}, "The organisation now wants a second factor for this sign-in. Somebody has to " + again + " and pass it."},
	{[]string{"700082", "700084", "70008", "50089", "50085"}, "The sign-in was not used for too long (90 days at Microsoft) and has ended. Somebody has to " + again + "."},
	{[]string{"50173", "50132", "50133", "50055", "50144", "50135"}, "The user's password has changed or run out, or an administrator has revoked the sign-ins. Somebody has to " + again + "."},
	{[]string{"50053"}, "The user is locked, or the sign-in came from an address that Microsoft distrusts. The administrator finds the reason in the sign-in logs (entra.microsoft.com > Monitoring); then " + again + "."},
	{[]string{"50057"}, "The user is disabled. The administrator has to enable it, or the account needs another username."},
	{[]string{"53000", "53001", "53002", "53003", "50005", "50097", "50131", "530032", "530036"}, "A Conditional Access policy stops this sign-in. The administrator finds which one in the sign-in logs (entra.microsoft.com > Monitoring). Where device codes are blocked, sign in with `outboxd account login NAME --paste`; where the place or the device is, this user has to be left out of the policy."},
	{[]string{"70011", "28002", "700022", "28003"}, "The scopes are not right. Leave `scopes` out for office365, or ask for https://outlook.office.com/SMTP.Send and offline_access."},
	{[]string{"50011", "500113"}, "The app registration does not know the address at which the browser ends. Add the platform \"Mobile and desktop applications\" with the redirect URI " + redirect + " (entra.microsoft.com > App registrations > Authentication)."},
}

// microsoftRemedy returns the remedy for the first code in a description, "" where there is none.
func microsoftRemedy(description string) string {
	code := aadsts.FindStringSubmatch(description)
	if code == nil {
		return ""
	}
	for _, m := range microsoftRemedies {
		if slices.Contains(m.codes, code[1]) {
			return m.remedy
		}
	}
	return ""
}
