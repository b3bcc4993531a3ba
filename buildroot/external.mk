include $(sort $(wildcard $(BR2_EXTERNAL_LINKBEAT_PATH)/package/*/*.mk))
