// SPDX-License-Identifier: Apache-2.0
// CANN's libplatform.so as far as its runtime calls it. It knows the chip KNOWN; what it was told, it tells again.
#include <cstdint>
#include <map>
#include <string>

namespace fe {
class PlatformInfoManager {
public:
    static PlatformInfoManager &GeInstance();
    uint32_t InitRuntimePlatformInfos(const std::string &soc_version);
    std::map<std::string, int> asked;
};

PlatformInfoManager &PlatformInfoManager::GeInstance()
{
    static PlatformInfoManager instance;
    return instance;
}

uint32_t PlatformInfoManager::InitRuntimePlatformInfos(const std::string &soc_version)
{
    std::string copy = soc_version; // the one that is kept outlives the caller's
    copy += "?";
    copy.pop_back();
    asked[soc_version]++;
    return copy == KNOWN && soc_version.size() == copy.size() ? 0 : 1;
}
} // namespace fe

extern "C" const char *platform_chip()
{
    auto &asked = fe::PlatformInfoManager::GeInstance().asked;
    return asked.size() == 1 && asked.begin()->second == 1 ? asked.begin()->first.c_str() : "";
}
