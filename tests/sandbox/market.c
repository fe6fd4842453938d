/* market.c - the table of marketplaces. */
#include "market.h"

#include <string.h>

/* clang-format off */
static const struct market markets[] = {
	{ "ATVPDKIKX0DER",  "US", "United States",  "Amazon.com",    "www.amazon.com",    "USD", "en_US", 2 },
	{ "A2EUQ1WTGCTBG2", "CA", "Canada",         "Amazon.ca",     "www.amazon.ca",     "CAD", "en_CA", 2 },
	{ "A1AM78C64UM0Y8", "MX", "Mexico",         "Amazon.com.mx", "www.amazon.com.mx", "MXN", "es_MX", 2 },
	{ "A2Q3Y263D00KWC", "BR", "Brazil",         "Amazon.com.br", "www.amazon.com.br", "BRL", "pt_BR", 2 },
	{ "A1F83G8C2ARO7P", "GB", "United Kingdom", "Amazon.co.uk",  "www.amazon.co.uk",  "GBP", "en_GB", 2 },
	{ "A1PA6795UKMFR9", "DE", "Germany",        "Amazon.de",     "www.amazon.de",     "EUR", "de_DE", 2 },
	{ "A13V1IB3VIYZZH", "FR", "France",         "Amazon.fr",     "www.amazon.fr",     "EUR", "fr_FR", 2 },
	{ "APJ6JRA9NG5V4",  "IT", "Italy",          "Amazon.it",     "www.amazon.it",     "EUR", "it_IT", 2 },
	{ "A1RKKUPIHCS9HS", "ES", "Spain",          "Amazon.es",     "www.amazon.es",     "EUR", "es_ES", 2 },
	{ "A1805IZSGTT6HS", "NL", "Netherlands",    "Amazon.nl",     "www.amazon.nl",     "EUR", "nl_NL", 2 },
	{ "AMEN7PMS3EDWL",  "BE", "Belgium",        "Amazon.com.be", "www.amazon.com.be", "EUR", "fr_BE", 2 },
	{ "A2NODRKZP88ZB9", "SE", "Sweden",         "Amazon.se",     "www.amazon.se",     "SEK", "sv_SE", 2 },
	{ "A1C3SOZRARQ6R3", "PL", "Poland",         "Amazon.pl",     "www.amazon.pl",     "PLN", "pl_PL", 2 },
	{ "A28R8C7NBKEWEA", "IE", "Ireland",        "Amazon.ie",     "www.amazon.ie",     "EUR", "en_IE", 2 },
	{ "A33AVAJ2PDY3EV", "TR", "Turkey",         "Amazon.com.tr", "www.amazon.com.tr", "TRY", "tr_TR", 2 },
	{ "ARBP9OOSHTCHU",  "EG", "Egypt",          "Amazon.eg",     "www.amazon.eg",     "EGP", "ar_EG", 2 },
	{ "A17E79C6D8DWNP", "SA", "Saudi Arabia",   "Amazon.sa",     "www.amazon.sa",     "SAR", "ar_SA", 2 },
	{ "A2VIGQ35RCS4UG", "AE", "UAE",            "Amazon.ae",     "www.amazon.ae",     "AED", "en_AE", 2 },
	{ "A21TJRUUN4KGV",  "IN", "India",          "Amazon.in",     "www.amazon.in",     "INR", "en_IN", 2 },
	{ "A1VC38T7YXB528", "JP", "Japan",          "Amazon.co.jp",  "www.amazon.co.jp",  "JPY", "ja_JP", 0 },
	{ "A39IBJ37TRP1C6", "AU", "Australia",      "Amazon.com.au", "www.amazon.com.au", "AUD", "en_AU", 2 },
	{ "A19VAU5U5O7RUS", "SG", "Singapore",      "Amazon.sg",     "www.amazon.sg",     "SGD", "en_SG", 2 },
};
/* clang-format on */

const struct market *
market_find(const char *id, size_t len)
{
	for (size_t i = 0; i < sizeof(markets) / sizeof(markets[0]); i++)
		if (strlen(markets[i].id) == len &&
		    memcmp(markets[i].id, id, len) == 0)
			return &markets[i];
	return NULL;
}
