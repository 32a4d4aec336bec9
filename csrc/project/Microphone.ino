/* Listens to the board's PDM microphone (Arduino Nano 33 BLE Sense and its like), and prints every detection. */
#include <PDM.h>
#include <npgru.h>

static npgru detector;
static const uint32_t ROOM = 4096;              /* samples that wait while the network computes: a power of 2 */
static int16_t waiting[ROOM];
static volatile uint32_t n_heard = 0;
static uint32_t n_taken = 0;

static void heard()                             /* an interrupt: the microphone has a block of samples */
{
    static int16_t block[256];
    const int available = PDM.available(), room = (int)sizeof block;
    const int n = PDM.read(block, available < room ? available : room) / 2;
    for (int i = 0; i < n; i++) waiting[(n_heard + (uint32_t)i) % ROOM] = block[i];
    n_heard = n_heard + (uint32_t)n;
}

void setup()
{
    Serial.begin(115200);
    const npgru_status status = npgru_init(&detector, sizeof detector, NPGRU_CLIPS);
    PDM.onReceive(heard);
    if (status == NPGRU_OK && PDM.begin(1, NPGRU_SAMPLE_RATE_HZ)) return;
    while (true) {
        Serial.print("npgru_init or the microphone failed, status ");
        Serial.println((int)status);
        delay(1000);
    }
}

void loop()
{
    if (n_heard - n_taken > ROOM) {
        Serial.println("too slow: samples were lost");
        n_taken = n_heard;
    }
    if (n_heard == n_taken) return;
    const uint32_t at = n_taken % ROOM, there = n_heard - n_taken, n = there < ROOM - at ? there : ROOM - at;
    n_taken += (uint32_t)npgru_push(&detector, waiting + at, (int32_t)n);
    npgru_result result;
    while (npgru_score(&detector, &result) == NPGRU_OK)
        if (npgru_detected(&result)) {
            Serial.print("detected, score of 256: ");
            Serial.println(result.probabilities[1] + 128);
        }
}
