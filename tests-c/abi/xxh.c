/* XXH32 and XXH64 against the values that the reference implementation gives:
 * over the pattern of its own sanity check (its values for the lengths 0, 1, 14
 * and 222 are published with xxHash) and over short strings. */
#include "mtcp_util.h"
#include "check.h"

#include <string.h>

/* length, XXH32 with seed 0 and with SEED, XXH64 likewise */
#define SEED 2654435761U
static const struct {
    size_t length;
    unsigned h32, h32_seeded;
    unsigned long long h64, h64_seeded;
} vectors[] = {
    {0, 0x02CC5D05U, 0x36B78AE7U, 0xEF46DB3751D8E999ULL, 0xAC75FDA2929B17EFULL},
    {1, 0xCF65B03EU, 0xB4545AA4U, 0xE934A84ADB052768ULL, 0x5014607643A9B4C3ULL},
    {2, 0x1151BEE4U, 0x1EDB879AU, 0x5D48CD60A77E23FFULL, 0x9E93152232D54A39ULL},
    {3, 0xC23884F5U, 0x1A269947U, 0xFF7E1959CB50794AULL, 0xAA8584E83660F7D1ULL},
    {4, 0xA9DE7CE9U, 0x2BAAFE83U, 0x9136A0DCA57457EEULL, 0xCAAB286BD8E9FDB5ULL},
    {5, 0xEB1734BBU, 0x5874DAB0U, 0x9B046FB1397F09A5ULL, 0x2AF5249930F984ECULL},
    {7, 0x5E1056CDU, 0x3ED9D3FCU, 0x6C83909A9F01ED25ULL, 0xF98D03B1AD6F9293ULL},
    {8, 0xA3F6F44BU, 0xC2A8E239U, 0xCDBCF538E71D1348ULL, 0xFE0C047A5353CDACULL},
    {9, 0xFFB82A24U, 0xD35632C6U, 0x554B1AE991EDA6B6ULL, 0x7908265248F6D73FULL},
    {12, 0xE89B5F9BU, 0x05A6C4B5U, 0x0723BF50086EAD9AULL, 0x8252819F4E506951ULL},
    {14, 0x1208E7E2U, 0x6AF1D1FEU, 0x8282DCC4994E35C8ULL, 0xC3BD6BF63DEB6DF0ULL},
    {15, 0x6B859E14U, 0xAD53090DU, 0x180719316D622D84ULL, 0xD61105C20E91F99FULL},
    {16, 0x93BA3759U, 0xA94FC1E1U, 0x98C90B57FDFCB55CULL, 0xC900AD2D536B607EULL},
    {17, 0x89FDC23EU, 0xC9910739U, 0x0D39A2D051A30C2CULL, 0x495CD68A647C7A22ULL},
    {19, 0x858FC8EAU, 0x63826A8FU, 0xE91C6EF31FC08F82ULL, 0x06809662799B7D6FULL},
    {20, 0x38374A35U, 0xC691A55AU, 0x5F8C68355769439EULL, 0x97218696C2D29602ULL},
    {24, 0xA6276FF0U, 0x7AD49212U, 0xF75A6DEA42DC5BF4ULL, 0x8B7C67EB59778E22ULL},
    {28, 0xDA976167U, 0x261F77CFU, 0x64CD9E8C96A9E2DDULL, 0x8160FB8C20B48287ULL},
    {31, 0x5F40E562U, 0x5C0C3350U, 0x299B39A290E6D783ULL, 0xDA673D5FEB5C1D79ULL},
    {32, 0xD89829ECU, 0xA5C44467U, 0x18B216492BB44B70ULL, 0xB3F33BDF93ADE409ULL},
    {33, 0x31A427E5U, 0x0DE5B1F9U, 0x55C8DC3E578F5B59ULL, 0xE92C292F64BC3071ULL},
    {36, 0xED4F560FU, 0x24321F47U, 0x0AE67584084DC6A4ULL, 0x57C73F9E3A6FC2C6ULL},
    {39, 0xBA125684U, 0x2D6246FFU, 0xB888CAF07592B1B3ULL, 0x602E74D43465AC3DULL},
    {40, 0xB22A36ABU, 0xBF491205U, 0x23B3810D7D8B1731ULL, 0x5A57F246772BC540ULL},
    {48, 0xBFD05CBDU, 0x0ECCC06EU, 0xFD0FEEAC7A939933ULL, 0x6FFE2F43A24C2302ULL},
    {63, 0xF1D48FDBU, 0x956B3D77U, 0xA9EFBE0FA0F3F4E7ULL, 0x6C911FADB05B6FC2ULL},
    {64, 0x02E95DBBU, 0xCF82F830U, 0xEF558F8ACAC2B5CDULL, 0xB5EEBA99264CC44FULL},
    {65, 0x16992B3DU, 0x428EEC5FU, 0xDE0F20DC2631AF7AULL, 0xD3F6FF3941E310CAULL},
    {100, 0x96AD8143U, 0x83D48124U, 0x4BFE019CD91D9EA4ULL, 0x4853706DC9625CAEULL},
    {222, 0x5BD11DBDU, 0x58803C5FU, 0xB641AE8CB691C174ULL, 0x20CB8AB7AE10C14AULL},
    {1000, 0x2052D698U, 0xD38B6679U, 0x52BD1358F22E9EF7ULL, 0x72751A2408017E26ULL},
};

static const struct {
    const char *text;
    unsigned h32;
    unsigned long long h64;
} strings[] = {
    {"", 0x02CC5D05U, 0xEF46DB3751D8E999ULL},
    {"a", 0x550D7456U, 0xD24EC4F1A98C6E5BULL},
    {"abc", 0x32D153FFU, 0x44BC2CF5AD770999ULL},
    {"message digest", 0x7C948494U, 0x066ED728FCEEB3BEULL},
    {"Nobody inspects the spammish repetition", 0xE2293B2FU, 0xFBCEA83C8A378BF1ULL},
};

int main(void)
{
    /* One byte more than the longest, to try an odd address as well. */
    static unsigned char pattern[1001], shifted[1001];
    unsigned long long generator = SEED;
    char what[128];
    size_t i;

    for (i = 0; i < 1000; i++) {
        pattern[i] = (unsigned char)(generator >> 56);
        generator *= 11400714785074694797ULL;
    }
    memcpy(shifted + 1, pattern, 1000);

    for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        size_t length = vectors[i].length;

        snprintf(what, sizeof(what), "XXH32 of %zu bytes", length);
        check(XXH32(pattern, length, 0) == vectors[i].h32 &&
              XXH32(shifted + 1, length, 0) == vectors[i].h32 &&
              XXH32(pattern, length, SEED) == vectors[i].h32_seeded, what);
        snprintf(what, sizeof(what), "XXH64 of %zu bytes", length);
        check(XXH64(pattern, length, 0) == vectors[i].h64 &&
              XXH64(shifted + 1, length, 0) == vectors[i].h64 &&
              XXH64(pattern, length, SEED) == vectors[i].h64_seeded, what);
    }
    for (i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
        size_t length = strlen(strings[i].text);

        snprintf(what, sizeof(what), "\"%s\"", strings[i].text);
        check(XXH32(strings[i].text, length, 0) == strings[i].h32 &&
              XXH64(strings[i].text, length, 0) == strings[i].h64, what);
    }
    check(XXH32(NULL, 0, 0) == 0x02CC5D05U && XXH64(NULL, 0, 0) == 0xEF46DB3751D8E999ULL,
          "nothing at no address");
    return finish();
}
